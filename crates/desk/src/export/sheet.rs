//! Lines of a table, as CSV or as JSON.

use serde_json::{Map, Value};

use crate::DeskError;

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a line of names first. `bom` tells some spreadsheets that it is UTF-8.
    Csv {
        /// Whether it begins with a byte order mark.
        bom: bool,
    },
    /// One JSON object a line; what is empty is left out.
    Jsonl,
}

/// A table that is written line by line.
#[derive(Debug)]
pub(super) struct Sheet {
    format: Format,
    columns: Vec<String>,
    out: Vec<u8>,
}

impl Sheet {
    /// One with its first line, where the format has one.
    pub(super) fn new(format: Format, columns: Vec<String>) -> Result<Self, DeskError> {
        let mut sheet = Self { format, columns, out: Vec::new() };
        if let Format::Csv { bom } = format {
            if bom {
                sheet.out.extend_from_slice("\u{feff}".as_bytes());
            }
            let names: Vec<Value> = sheet.columns.iter().map(|name| Value::from(name.as_str())).collect();
            sheet.csv(&names)?;
        }
        Ok(sheet)
    }

    /// Adds a line; its cells stand in the order of the columns, and those that lack are empty.
    pub(super) fn line(&mut self, mut cells: Vec<Value>) -> Result<(), DeskError> {
        cells.resize(self.columns.len(), Value::Null);
        match self.format {
            Format::Csv { .. } => self.csv(&cells),
            Format::Jsonl => {
                let fields = self.columns.iter().cloned().zip(cells).filter(|(_, cell)| !is_empty(cell));
                let object = Value::Object(fields.collect::<Map<_, _>>());
                serde_json::to_writer(&mut self.out, &object).map_err(broken)?;
                self.out.push(b'\n');
                Ok(())
            }
        }
    }

    fn csv(&mut self, cells: &[Value]) -> Result<(), DeskError> {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(&mut self.out);
        writer.write_record(cells.iter().map(cell)).map_err(broken)?;
        writer.flush().map_err(broken)
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// What was written since it was last taken.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

fn is_empty(cell: &Value) -> bool {
    match cell {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A cell as text that no spreadsheet takes for a formula (OWASP, CSV injection).
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{text}"),
        Value::String(text) => text.clone(),
        Value::Array(items) => cell(&Value::from(items.iter().map(plain).collect::<Vec<_>>().join(", "))),
        other => other.to_string(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn broken(error: impl std::fmt::Display) -> DeskError {
    DeskError::Storage(transom_storage::StorageError::Database(format!("a line could not be written: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(format: Format, cells: Vec<Value>) -> String {
        let mut sheet = Sheet::new(format, vec!["a".into(), "b".into()]).unwrap();
        sheet.line(cells).unwrap();
        String::from_utf8(sheet.take()).unwrap()
    }

    #[test]
    fn no_cell_is_a_formula_and_quotes_are_doubled() {
        let csv = written(Format::Csv { bom: false }, vec![json!("=1+1"), json!("say \"hi\",\nyou")]);
        assert_eq!(csv, "a,b\r\n'=1+1,\"say \"\"hi\"\",\nyou\"\r\n");
        for start in ["=", "+", "-", "@", "\t", "\r"] {
            assert!(cell(&json!(format!("{start}x"))).starts_with('\''), "{start:?}");
        }
        assert_eq!(cell(&json!(["@a", "b"])), "'@a, b");
        assert_eq!(written(Format::Csv { bom: true }, vec![]), "\u{feff}a,b\r\n,\r\n");
    }

    #[test]
    fn json_leaves_out_what_is_empty() {
        assert_eq!(written(Format::Jsonl, vec![json!("=1"), json!([])]), "{\"a\":\"=1\"}\n");
    }
}
