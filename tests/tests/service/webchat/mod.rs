//! Web chat over real HTTP and real WebSockets: visitors, agents, replicas, and those who should stay outside.

mod acts;
mod letters;
mod outsiders;
mod replicas;
mod site;
mod typing;
