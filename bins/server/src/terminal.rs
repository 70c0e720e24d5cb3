//! How wide tables are.

use std::io::IsTerminal as _;

use comfy_table::Table;

/// What a terminal has that does not say how wide it is: one without a window behind it reports 0 columns.
const USUAL: u16 = 80;

/// A table for people is as wide as their terminal; in a pipe nothing is broken.
pub(crate) fn fit(table: &mut Table) {
    if std::io::stdout().is_terminal() {
        table.set_width(columns(Table::new().width()));
    }
}

fn columns(told: Option<u16>) -> u16 {
    told.filter(|columns| *columns > 0).unwrap_or(USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use comfy_table::ContentArrangement;

    #[test]
    fn a_terminal_that_does_not_tell_its_width_breaks_no_word() {
        for (told, width) in [(Some(0), 80), (None, 80), (Some(132), 132)] {
            assert_eq!(columns(told), width);
        }
        let mut table = Table::new();
        table.set_content_arrangement(ContentArrangement::Dynamic).add_row(["Contact", "You may send now"]);
        assert!(table.set_width(columns(Some(0))).to_string().contains("You may send now"), "{table}");
    }
}
