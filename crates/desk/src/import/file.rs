//! The file: CSV with a line of names.

use futures_util::TryStreamExt as _;
use serde_json::{Map, Value};
use transom_domain::{AttachmentId, CustomField, field_key};
use transom_storage::StorageError;

use crate::authorise::Caller;
use crate::{Desk, DeskError, attachments, custom_fields};

/// How many contacts a file may have.
pub const MOST_LINES: usize = 10_000;
/// How large it may be.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// The longest cell.
const LONGEST: usize = 2_000;

/// The columns that an import reads.
pub const COLUMNS: [&str; 9] =
    ["display_name", "first_name", "last_name", "phone", "email", "external_id", "language", "time_zone", "labels"];
/// Those of an export that say nothing to an import.
const PASSED_OVER: [&str; 5] = ["contact", "username", "blocked", "channels", "created_at"];

/// The bytes of an uploaded file.
pub(super) async fn bytes(desk: &Desk, caller: &Caller, id: AttachmentId) -> Result<Vec<u8>, DeskError> {
    let download = attachments::download(desk, caller, id).await?;
    if download.size > MOST_BYTES {
        return Err(DeskError::invalid("too_many", "attachment", format!("a file has at most {MOST_BYTES} bytes")));
    }
    let chunks: Vec<_> = download.bytes.try_collect().await.map_err(StorageError::from)?;
    Ok(chunks.concat())
}

/// Each line as an object of its cells that are not empty; those of custom fields stand under their ids.
pub(super) fn lines(text: &[u8], fields: &[CustomField]) -> Result<Vec<Value>, DeskError> {
    let text = std::str::from_utf8(text).map_err(|_| wrong("the file is not in UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // To the reader all that follows would be one cell.
    if let Some(line) = open_quote(text) {
        return Err(wrong(format!("the quote that begins in line {line} is not closed")));
    }
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let names =
        reader.headers().map_err(unread)?.iter().map(|name| column(name, fields)).collect::<Result<Vec<_>, _>>()?;
    let known: Vec<&String> = names.iter().flatten().collect();
    if known.is_empty() {
        return Err(wrong(format!("the first line names no column; known are {}", known_to(fields))));
    }
    let is_there_twice = |(at, name): &(usize, &String)| known.iter().skip(at + 1).any(|other| other == name);
    if let Some((_, twice)) = known.iter().copied().enumerate().find(is_there_twice) {
        let field = fields.iter().find(|field| of_field(field) == *twice);
        let name = field.map_or_else(|| twice.clone(), custom_fields::column);
        return Err(wrong(format!("the column `{name}` is there twice")));
    }
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.map_err(unread)?;
        if lines.len() == MOST_LINES {
            return Err(DeskError::invalid("too_many", "csv", format!("a file has at most {MOST_LINES} contacts")));
        }
        let cells = names.iter().zip(&record).filter_map(|(name, cell)| Some((name.clone()?, cell)));
        let cells = cells.map(|(name, cell)| (name, Value::from(unguarded(cell))));
        lines.push(Value::Object(cells.filter(|(_, cell)| cell != "").collect::<Map<_, _>>()));
    }
    Ok(lines)
}

/// The line of a quote that is not closed.
fn open_quote(text: &str) -> Option<usize> {
    let (mut line, mut begun, mut is_start) = (1, None, true);
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        match (begun, letter) {
            // Two are one quote inside of the cell.
            (Some(_), '"') if rest.next_if_eq(&'"').is_none() => begun = None,
            (None, '"') if is_start => begun = Some(line),
            _ => {}
        }
        is_start = begun.is_none() && matches!(letter, ',' | '\n' | '\r');
        line += usize::from(letter == '\n');
    }
    begun
}

/// Under what a line keeps the cell of a custom field, whose name may change until the line has its turn.
pub(super) fn of_field(field: &CustomField) -> String {
    format!("{}{}", custom_fields::COLUMN, field.id)
}

/// The columns that there are.
fn known_to(fields: &[CustomField]) -> String {
    let own = fields.iter().filter(|field| !field.archived).map(custom_fields::column);
    COLUMNS.iter().map(ToString::to_string).chain(own).collect::<Vec<_>>().join(", ")
}

/// The column of a name; `None` for one that is passed over.
fn column(name: &str, fields: &[CustomField]) -> Result<Option<String>, DeskError> {
    let unknown = || {
        let name: String = name.chars().take(50).collect();
        let hint = if name.contains([';', '\t']) { ". Commas are what separates columns" } else { "" };
        wrong(format!("there is no column `{name}`; known are {}{hint}", known_to(fields)))
    };
    let own = name.trim().split_at_checked(custom_fields::COLUMN.len());
    if let Some((_, own)) = own.filter(|(prefix, _)| prefix.eq_ignore_ascii_case(custom_fields::COLUMN)) {
        let field = fields.iter().find(|field| field_key(&field.name) == field_key(own)).ok_or_else(unknown)?;
        return if field.archived { Err(custom_fields::archived(field)) } else { Ok(Some(of_field(field))) };
    }
    let plain = name.trim().to_lowercase().replace([' ', '-'], "_");
    let plain = match plain.as_str() {
        "name" | "full_name" => "display_name",
        "mail" | "e_mail" | "email_address" => "email",
        "telephone" | "mobile" | "phone_number" => "phone",
        "label" | "tags" => "labels",
        other => other,
    };
    if PASSED_OVER.contains(&plain) {
        return Ok(None);
    }
    if COLUMNS.contains(&plain) { Ok(Some(plain.to_owned())) } else { Err(unknown()) }
}

/// What an export put before a cell so that no spreadsheet takes it for a formula is taken away again.
fn unguarded(cell: &str) -> String {
    let bare = cell.strip_prefix('\'').filter(|bare| bare.starts_with(['=', '+', '-', '@']));
    bare.unwrap_or(cell).chars().take(LONGEST).collect()
}

fn unread(error: csv::Error) -> DeskError {
    // Its own words would quote the file.
    let line = error.position().map_or(0, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            wrong(format!("line {line} has {len} cells, and the first line {expected_len}"))
        }
        _ => wrong(format!("line {line} can't be read as CSV")),
    }
}

fn wrong(detail: impl ToString) -> DeskError {
    DeskError::invalid("import_invalid", "csv", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use transom_domain::{CustomFieldId, FieldKind, UuidV7};

    #[test]
    fn columns_are_found_by_their_names_and_empty_cells_left_out() {
        let csv = "\u{feff}Name,E-Mail,phone number,contact\r\n Mara ,,'+49 155 1,x\r\n";
        assert_eq!(lines(csv.as_bytes(), &[]).unwrap(), [json!({ "display_name": "Mara", "phone": "+49 155 1" })]);
        for (wrong, why) in [
            ("colour\nred\n", "no column `colour`"),
            ("email,e-mail\na,b\n", "twice"),
            ("email,phone\na\n", "line 2 has 1 cells"),
            ("contact\nx\n", "names no column"),
            ("name;phone\na;b\n", "Commas are what separates columns"),
            ("name,email\n\"A \"\"B\"\"\",a\n\"C,b\nD,c\n", "the quote that begins in line 3 is not closed"),
        ] {
            let error = lines(wrong.as_bytes(), &[]).unwrap_err();
            assert_eq!(error.code(), "import_invalid");
            assert!(error.to_string().contains(why), "{error}");
        }
        // Only at the beginning of a cell is it one.
        assert_eq!(lines(b"name\n5\" pipe\n", &[]).unwrap(), [json!({ "display_name": "5\" pipe" })]);
        assert_eq!(lines(b"email\n\xff\n", &[]).unwrap_err().code(), "import_invalid");
    }

    #[test]
    fn custom_fields_are_found_by_their_names() {
        let field = |name: &str, archived| CustomField {
            id: CustomFieldId::new(&UuidV7),
            name: name.into(),
            kind: FieldKind::Text,
            options: Vec::new(),
            archived,
        };
        let fields = [field("Order num", false), field("Old", true)];
        let read = lines(b"email,CUSTOM.order  num\na,7\n", &fields).unwrap();
        assert_eq!(read, [json!({ "email": "a", of_field(&fields[0]): "7" })]);
        let error = lines(b"custom.size\n7\n", &fields).unwrap_err().to_string();
        assert!(error.contains("no column `custom.size`") && error.ends_with("labels, custom.Order num"), "{error}");
        let error = lines(b"custom.Order num,custom.order num\n7,8\n", &fields).unwrap_err().to_string();
        assert!(error.contains("`custom.Order num` is there twice"), "{error}");
        assert_eq!(lines(b"custom.old\n7\n", &fields).unwrap_err().code(), "field_archived");
    }
}
