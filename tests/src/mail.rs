//! Debian's mail servers, started for one test on free loopback ports, with certificates of an authority made for it.
//!
//! SMTP is Exim, IMAP is Dovecot; both run as one unprivileged user in a folder of their own, and deliver to the same maildirs.
//! Nothing of the machine's own configuration is read.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::Trouble;

/// The longest that a server takes to start or stop, and a letter to arrive.
const PATIENCE: Duration = Duration::from_mins(1);
/// Who may sign in, besides the mailbox of the shop.
const PASSWORD: &str = "s3cret of the tests";

/// Both servers, as long as this lives.
#[derive(Debug)]
pub struct MailServers {
    folder: TempDir,
    owner: Owner,
    smtp: Option<Child>,
    imap: Option<Child>,
    /// SMTP with STARTTLS.
    pub smtp_port: u16,
    /// SMTP with TLS from the first byte.
    pub smtps_port: u16,
    /// IMAP with STARTTLS.
    pub imap_port: u16,
    /// IMAP with TLS from the first byte.
    pub imaps_port: u16,
    /// The authority behind both servers' certificates, in PEM.
    pub authority: String,
}

/// A letter in a maildir.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// The letter, as it was delivered.
    pub raw: String,
    /// It is marked as read.
    pub seen: bool,
}

impl Delivered {
    /// The value of a header field, unfolded.
    pub fn field(&self, name: &str) -> Option<String> {
        let head = self.raw.split("\n\n").next().unwrap_or_default().replace("\n ", " ").replace("\n\t", " ");
        let wanted = format!("{}:", name.to_lowercase());
        let line = head.lines().find(|line| line.to_lowercase().starts_with(&wanted));
        line.and_then(|line| line.get(wanted.len()..)).map(|value| value.trim().to_owned())
    }
}

impl MailServers {
    /// The mailbox of the shop; `ann@example.test` and `bob@example.test` are customers.
    pub const SHOP: &'static str = "support@shop.test";

    /// Starts both. `None`, said loudly, where one is not installed.
    ///
    /// # Errors
    /// [`Trouble`] when one is missing though `CI=true` or `TRANSOM_REQUIRE_MAIL=1` asks for it, or does not start.
    pub async fn start() -> Result<Option<Self>, Trouble> {
        let (Some(_), Some(_)) = (binary("exim4"), binary("dovecot")) else {
            let required = |name, value| std::env::var(name).is_ok_and(|set| set == value);
            let missing = "Exim and Dovecot are not installed (Debian: exim4-daemon-light, dovecot-imapd)";
            if required("CI", "true") || required("TRANSOM_REQUIRE_MAIL", "1") {
                return Err(Trouble(format!("the mail servers are required: {missing}")));
            }
            let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("SKIPPED: {missing}\n").as_bytes());
            return Ok(None);
        };
        let folder = tempfile::tempdir().map_err(Trouble::new)?;
        let owner = Owner::find()?;
        let [smtp_port, smtps_port, imap_port, imaps_port] = free_ports()?;
        let (authority, certificate, key) = certificates().map_err(Trouble::new)?;
        let mut servers =
            Self { folder, owner, smtp: None, imap: None, smtp_port, smtps_port, imap_port, imaps_port, authority };
        for name in ["spool", "mail", "run", "state"] {
            fs::create_dir(servers.path(name)).map_err(Trouble::new)?;
        }
        servers.write("certificate.pem", &certificate)?;
        servers.write("key.pem", &key)?;
        servers.write("users", &format!("support:{{plain}}{PASSWORD}\n"))?;
        servers.write("exim.conf", &servers.exim())?;
        servers.write("dovecot.conf", &servers.dovecot())?;
        fs::set_permissions(servers.folder.path(), fs::Permissions::from_mode(0o755)).map_err(Trouble::new)?;
        servers.owner.takes(servers.folder.path())?;
        let configuration = servers.text("exim.conf");
        let ports = format!("{smtp_port}:{smtps_port}");
        servers.smtp = Some(servers.run("exim4", &["-C", &configuration, "-bdf", "-oX", &ports])?);
        until_it_listens(smtp_port, &servers.path("exim4.out")).await?;
        servers.start_imap().await?;
        Ok(Some(servers))
    }

    /// The password of [`SHOP`](Self::SHOP).
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Starts the IMAP server, again on the same ports.
    ///
    /// # Errors
    /// [`Trouble`] when it does not come up.
    pub async fn start_imap(&mut self) -> Result<(), Trouble> {
        let configuration = self.text("dovecot.conf");
        self.imap = Some(self.run("dovecot", &["-F", "-c", &configuration])?);
        until_it_listens(self.imap_port, &self.path("dovecot.log")).await
    }

    /// Kills the IMAP server and waits until nobody answers any more.
    ///
    /// # Errors
    /// [`Trouble`] when it goes on.
    pub async fn kill_imap(&mut self) -> Result<(), Trouble> {
        if let Some(mut child) = self.imap.take() {
            // Its own children go with it only when it is asked.
            stop(&mut child, "-TERM");
        }
        until_it_is_silent(self.imap_port).await
    }

    /// Kills the SMTP server and waits until nobody answers any more.
    ///
    /// # Errors
    /// [`Trouble`] when it goes on.
    pub async fn kill_smtp(&mut self) -> Result<(), Trouble> {
        if let Some(mut child) = self.smtp.take() {
            stop(&mut child, "-KILL");
        }
        until_it_is_silent(self.smtp_port).await
    }

    /// Starts the SMTP server again.
    ///
    /// # Errors
    /// [`Trouble`] when it does not come up.
    pub async fn start_smtp(&mut self) -> Result<(), Trouble> {
        let (configuration, ports) = (self.text("exim.conf"), format!("{}:{}", self.smtp_port, self.smtps_port));
        self.smtp = Some(self.run("exim4", &["-C", &configuration, "-bdf", "-oX", &ports])?);
        until_it_listens(self.smtp_port, &self.path("exim4.out")).await
    }

    /// Numbers a mailbox anew, as a server does that was restored from a backup: another UIDVALIDITY, UIDs from 1. The IMAP
    /// server must be down.
    ///
    /// # Errors
    /// [`Trouble`] when the mailbox was never opened.
    pub fn renumber(&self, user: &str) -> Result<(), Trouble> {
        let list = self.path("mail").join(user).join("dovecot-uidlist");
        let old = fs::read_to_string(&list).map_err(Trouble::new)?;
        let validity = old.split_ascii_whitespace().find_map(|word| word.strip_prefix('V')?.parse::<u64>().ok());
        let validity = validity.ok_or_else(|| Trouble(format!("no UIDVALIDITY in {old}")))?;
        for file in fs::read_dir(self.path("mail").join(user)).map_err(Trouble::new)?.flatten() {
            if file.file_name().to_string_lossy().starts_with("dovecot") {
                fs::remove_file(file.path()).map_err(Trouble::new)?;
            }
        }
        fs::write(&list, format!("3 V{} N1 G0123456789abcdef0123456789abcdef\n", validity + 1))
            .map_err(Trouble::new)?;
        self.owner.takes(&list)
    }

    /// What lies in somebody's mailbox, oldest first.
    ///
    /// # Errors
    /// [`Trouble`] when it cannot be read.
    pub fn mailbox(&self, user: &str) -> Result<Vec<Delivered>, Trouble> {
        let mut letters = Vec::new();
        for kind in ["new", "cur"] {
            let folder = self.path("mail").join(user).join(kind);
            for file in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = file.file_name().to_string_lossy().into_owned();
                // One that moves from `new` to `cur` meanwhile is found at the next look.
                let Ok(bytes) = fs::read(file.path()) else { continue };
                let seen = name.rsplit_once(":2,").is_some_and(|(_, flags)| flags.contains('S'));
                letters.push((name, Delivered { raw: String::from_utf8_lossy(&bytes).replace("\r\n", "\n"), seen }));
            }
        }
        letters.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(letters.into_iter().map(|(_, letter)| letter).collect())
    }

    /// Waits until somebody's mailbox holds so many letters.
    ///
    /// # Errors
    /// [`Trouble`] with what lies there instead, and the server's log.
    pub async fn delivered(&self, user: &str, count: usize) -> Result<Vec<Delivered>, Trouble> {
        let began = Instant::now();
        loop {
            let letters = self.mailbox(user)?;
            if letters.len() >= count {
                return Ok(letters);
            }
            if began.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.path("exim-mainlog")).unwrap_or_default();
                return Err(Trouble(format!("{} of {count} letters arrived at {user}: {log}", letters.len())));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Somebody hands a letter in at the server, as their own provider's server does: without signing in.
    ///
    /// # Errors
    /// [`Trouble`] with the reply that is no success.
    pub async fn receives(&self, from: &str, to: &str, letter: &str) -> Result<(), Trouble> {
        let stream = TcpStream::connect(("127.0.0.1", self.smtp_port)).await.map_err(Trouble::new)?;
        let mut stream = BufReader::new(stream);
        let content = letter.replace("\r\n", "\n").replace('\n', "\r\n").replace("\r\n.", "\r\n..");
        let steps = [
            String::new(),
            "EHLO customers.test\r\n".to_owned(),
            format!("MAIL FROM:<{from}>\r\n"),
            format!("RCPT TO:<{to}>\r\n"),
            "DATA\r\n".to_owned(),
            format!("{content}\r\n.\r\n"),
        ];
        for step in steps {
            stream.write_all(step.as_bytes()).await.map_err(Trouble::new)?;
            let mut line = String::new();
            loop {
                line.clear();
                stream.read_line(&mut line).await.map_err(Trouble::new)?;
                if line.as_bytes().get(3) != Some(&b'-') {
                    break;
                }
            }
            if !line.starts_with(['2', '3']) {
                return Err(Trouble(format!("the server answers `{}` to `{}`", line.trim_end(), step.trim_end())));
            }
        }
        stream.write_all(b"QUIT\r\n").await.map_err(Trouble::new)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn write(&self, name: &str, content: &str) -> Result<(), Trouble> {
        let path = self.path(name);
        fs::write(&path, content).map_err(Trouble::new)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(Trouble::new)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<Child, Trouble> {
        let binary = binary(program).ok_or_else(|| Trouble(format!("{program} is gone")))?;
        let out = fs::File::create(self.path(&format!("{program}.out"))).map_err(Trouble::new)?;
        let err = out.try_clone().map_err(Trouble::new)?;
        let mut command = self.owner.command(&binary);
        let command = command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(out).stderr(err);
        command.spawn().map_err(Trouble::new)
    }

    /// Who signs in may write to anybody; others only to those who are here. What cannot be delivered comes back as a report.
    fn exim(&self) -> String {
        let folder = self.folder.path().display();
        let Owner { uid, gid, .. } = self.owner;
        let (smtps, password) = (self.smtps_port, PASSWORD);
        format!(
            "exim_user = {uid}\nexim_group = {gid}\nadmin_groups = {gid}\ntrusted_users = {uid}\n\
             primary_hostname = mx.shop.test\nqualify_domain = shop.test\ndomainlist local_domains = shop.test : example.test\n\
             spool_directory = {folder}/spool\nlog_file_path = {folder}/exim-%slog\n\
             local_interfaces = 127.0.0.1\ntls_on_connect_ports = {smtps}\n\
             tls_advertise_hosts = *\ntls_certificate = {folder}/certificate.pem\ntls_privatekey = {folder}/key.pem\n\
             auth_advertise_hosts = ${{if def:tls_in_cipher {{*}}{{}}}}\ndsn_advertise_hosts = *\n\
             acl_smtp_rcpt = rcpt\nacl_smtp_data = data\nmessage_size_limit = 10M\n\
             deliver_drop_privilege = true\nhost_lookup =\nrfc1413_query_timeout = 0s\nkeep_environment =\n\
             begin acl\nrcpt:\n  accept authenticated = *\n  deny message = 5.7.1 relaying denied\n       ! domains = +local_domains\n\
             \x20 deny message = 5.1.1 no such user\n       ! verify = recipient\n  accept\ndata:\n  accept\n\
             begin routers\n\
             bounces:\n  driver = redirect\n  domains = +local_domains\n  local_parts = bounces\n  local_part_suffix = +*\n\
             \x20 local_part_suffix_optional\n  data = support@shop.test\n\
             people:\n  driver = accept\n  domains = +local_domains\n  local_parts = support : ann : bob : audit\n\
             \x20 local_part_suffix = +*\n  local_part_suffix_optional\n  transport = maildir\n\
             begin transports\nmaildir:\n  driver = appendfile\n  directory = {folder}/mail/$local_part_data\n  maildir_format\n\
             \x20 create_directory\n  envelope_to_add\n  return_path_add\n  user = {uid}\n  group = {gid}\n\
             begin retry\n* * F,1h,1m\n\
             begin authenticators\n\
             plain:\n  driver = plaintext\n  public_name = PLAIN\n  server_prompts = :\n\
             \x20 server_condition = ${{if and{{{{eq{{$auth2}}{{support}}}}{{eq{{$auth3}}{{{password}}}}}}}}}\n  server_set_id = $auth2\n\
             login:\n  driver = plaintext\n  public_name = LOGIN\n  server_prompts = Username:: : Password::\n\
             \x20 server_condition = ${{if and{{{{eq{{$auth1}}{{support}}}}{{eq{{$auth2}}{{{password}}}}}}}}}\n  server_set_id = $auth1\n"
        )
    }

    fn dovecot(&self) -> String {
        let folder = self.folder.path().display();
        let Owner { uid, gid, user, group } = &self.owner;
        let (imap, imaps) = (self.imap_port, self.imaps_port);
        format!(
            "base_dir = {folder}/run\nstate_dir = {folder}/state\nlog_path = {folder}/dovecot.log\nprotocols = imap\n\
             listen = 127.0.0.1\ndefault_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {user}\n\
             first_valid_uid = 1\nssl = yes\nssl_cert = <{folder}/certificate.pem\nssl_key = <{folder}/key.pem\n\
             mail_location = maildir:{folder}/mail/%n\nmailbox_idle_check_interval = 1s\nmail_max_userip_connections = 50\n\
             service imap-login {{\n  chroot =\n  inet_listener imap {{\n    port = {imap}\n  }}\n\
             \x20 inet_listener imaps {{\n    port = {imaps}\n    ssl = yes\n  }}\n}}\n\
             service anvil {{\n  chroot =\n}}\nservice stats {{\n  chroot =\n}}\n\
             passdb {{\n  driver = passwd-file\n  args = {folder}/users\n}}\n\
             userdb {{\n  driver = static\n  args = uid={uid} gid={gid} home={folder}/mail/%n\n}}\n\
             namespace inbox {{\n  inbox = yes\n}}\n"
        )
    }
}

impl Drop for MailServers {
    fn drop(&mut self) {
        if let Some(mut child) = self.smtp.take() {
            stop(&mut child, "-TERM");
        }
        if let Some(mut child) = self.imap.take() {
            stop(&mut child, "-TERM");
        }
    }
}

/// Neither server needs root, and neither likes it: then they run as somebody else.
#[derive(Debug)]
struct Owner {
    uid: u32,
    gid: u32,
    user: String,
    group: String,
}

impl Owner {
    fn find() -> Result<Self, Trouble> {
        let me = fs::metadata("/proc/self").map_err(Trouble::new)?;
        let (uid, gid) = (me.uid(), me.gid());
        let (users, groups) = (read("/etc/passwd")?, read("/etc/group")?);
        let wanted = |fields: &[&str]| match uid {
            0 => fields.first() == Some(&"nobody"),
            _ => fields.get(2).and_then(|id| id.parse().ok()) == Some(uid),
        };
        let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        let found =
            users.lines().map(fields).find(|fields| wanted(&fields.iter().map(String::as_str).collect::<Vec<_>>()));
        let found = found.ok_or_else(|| Trouble("the user that runs the mail servers has no name".to_owned()))?;
        let number = |at: usize| found.get(at).and_then(|id| id.parse::<u32>().ok());
        let (uid, gid) = if uid == 0 { (number(2).unwrap_or(65_534), number(3).unwrap_or(65_534)) } else { (uid, gid) };
        let group = groups.lines().map(fields).find(|fields| fields.get(2).and_then(|id| id.parse().ok()) == Some(gid));
        let name = |fields: Option<&Vec<String>>| fields.and_then(|fields| fields.first().cloned()).unwrap_or_default();
        Ok(Self { uid, gid, user: name(Some(&found)), group: name(group.as_ref()) })
    }

    /// Exim asks the list of groups who may run it as a daemon, so the own one must stand there.
    fn command(&self, program: &Path) -> Command {
        let Self { uid, gid, .. } = self;
        if !fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={uid}"), format!("--regid={gid}"), format!("--groups={gid}")]).arg(program);
        command
    }

    /// Makes it theirs, with all that is in it.
    fn takes(&self, path: &Path) -> Result<(), Trouble> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(Trouble::new)?;
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            self.takes(&entry.path())?;
        }
        Ok(())
    }
}

fn read(path: &str) -> Result<String, Trouble> {
    fs::read_to_string(path).map_err(Trouble::new)
}

/// Debian keeps servers out of a user's search path.
fn binary(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn free_ports<const N: usize>() -> Result<[u16; N], Trouble> {
    let held: Vec<TcpListener> =
        (0..N).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>().map_err(Trouble::new)?;
    let ports: Vec<u16> = held.iter().filter_map(|one| one.local_addr().ok()).map(|address| address.port()).collect();
    ports.try_into().map_err(|_| Trouble("no free ports".to_owned()))
}

/// An authority, a certificate of its for this machine, and its key, in PEM.
fn certificates() -> Result<(String, String, String), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "an authority of tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let server =
        CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?.signed_by(&key, &authority)?;
    Ok((authority.pem(), server.pem(), key.serialize_pem()))
}

async fn until_it_listens(port: u16, log: &Path) -> Result<(), Trouble> {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        if began.elapsed() > PATIENCE {
            let log = fs::read_to_string(log).unwrap_or_default();
            return Err(Trouble(format!("no server came up at port {port}: {log}")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn until_it_is_silent(port: u16) -> Result<(), Trouble> {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        if began.elapsed() > PATIENCE {
            return Err(Trouble(format!("the server at port {port} goes on")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

fn stop(child: &mut Child, signal: &str) {
    let _ = Command::new("kill").args([signal, &child.id().to_string()]).status();
    let _ = child.wait();
}
