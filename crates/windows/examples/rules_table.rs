//! Prints the rules of all built-in policies as Markdown: `cargo run -p transom-windows --example rules_table`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::io::Write;
    let table = transom_windows::rules_table(&transom_windows::Policies::builtin()?);
    std::io::stdout().write_all(table.as_bytes())?;
    Ok(())
}
