//! Marks: a number beside a contact that tells at a glance which terms it can't have.
//!
//! Each term sets a bit for its first character, one for its first two and one for its first three, together with its kind. Who
//! lacks a bit of what is looked for has no such term; who has them all is looked up. The number stands beside each conversation
//! too, in the indexes of its lists, and beside each term. Bits are only ever added, and -1, which has them all, is always right.

use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;

use super::couples::is_couple;
use super::statement::on_postgres;
use crate::query::sql;
use crate::{Reader, StorageError, Tx};

/// The sign is left out: only the number that has every bit has it.
const BITS: u64 = 63;
/// More than the first characters of a term tell hardly more.
const CHARS: usize = 3;

/// The marks of these terms, or of how they begin: a kind, and text behind it.
pub(crate) fn of_terms<T: AsRef<[u8]>>(terms: impl IntoIterator<Item = T>) -> i64 {
    terms.into_iter().fold(0, |marks, term| marks | of_term(term.as_ref()))
}

fn of_term(term: &[u8]) -> i64 {
    if is_couple(term) {
        return 0;
    }
    let begins_a_char = |at: &usize| term.get(*at).is_none_or(|byte| byte & 0b1100_0000 != 0b1000_0000);
    // The first byte is the kind.
    let ends = (2..=term.len()).filter(begins_a_char).take(CHARS);
    ends.filter_map(|end| term.get(..end)).fold(0, |marks, beginning| marks | 1 << (fnv1a(beginning) % BITS))
}

/// FNV-1a with 64 bits (draft-eastlake-fnv): what is stored must come out the same for ever.
fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

impl Reader {
    /// The marks of the contact that is named so, for a row that is written beside it. Whoever adds to them meanwhile waits, and finds
    /// the row.
    pub(super) fn marks_of(&self, workspace: &str, contact: &str) -> String {
        let lock = if on_postgres(self) { " FOR SHARE" } else { "" };
        format!(
            "coalesce((SELECT k.marks FROM contacts k WHERE k.workspace_id = {workspace} AND k.id = {contact}{lock}), -1)"
        )
    }
}

impl Tx {
    /// Adds to the marks of a contact, and so of all that stands beside it.
    pub(super) async fn add_marks(&self, contact: Uuid, marks: i64) -> Result<(), StorageError> {
        const ADD: &str = "UPDATE contacts SET marks = marks | $3 WHERE workspace_id = $1 AND id = $2 AND (marks & $3) <> $3 \
                           RETURNING marks";
        let row = self.conn.query_one_raw(sql(&self.conn, ADD, self.at(contact, marks))).await?;
        match row {
            Some(row) => self.copy_marks(contact, row.try_get_by_index(0)?).await,
            None => Ok(()),
        }
    }

    /// Whatever stands beside a contact has its marks from now on: as well as those that it had beside another one.
    pub(super) async fn spread_marks(&self, contact: Uuid) -> Result<(), StorageError> {
        let lock = if on_postgres(self) { " FOR NO KEY UPDATE" } else { "" };
        let select = format!("SELECT marks FROM contacts WHERE workspace_id = $1 AND id = $2{lock}");
        let row = self.conn.query_one_raw(sql(&self.conn, &select, [self.ws().into(), contact.into()])).await?;
        match row {
            Some(row) => self.copy_marks(contact, row.try_get_by_index(0)?).await,
            None => Ok(()),
        }
    }

    /// The contact is locked: so whoever read its marks for a new row is done by now, and that row is found.
    async fn copy_marks(&self, contact: Uuid, marks: i64) -> Result<(), StorageError> {
        for table in ["contact_terms", "conversations"] {
            let statement = format!(
                "UPDATE {table} SET marks = marks | $3 WHERE workspace_id = $1 AND contact_id = $2 AND (marks & $3) <> $3"
            );
            self.conn.execute_raw(sql(&self.conn, &statement, self.at(contact, marks))).await?;
        }
        Ok(())
    }

    fn at(&self, contact: Uuid, marks: i64) -> [Value; 3] {
        [self.ws().into(), contact.into(), marks.into()]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn term(text: &str) -> Vec<u8> {
        format!("n{text}").into_bytes()
    }

    #[test]
    fn the_first_three_characters_count() {
        assert_eq!(of_term(b"n"), 0);
        assert_eq!(of_term(b"nm").count_ones(), 1);
        assert_eq!(of_term(b"nmara"), of_term(b"nmarcel"));
        assert_ne!(of_term(b"nmara"), of_term(b"nmila"));
        assert_ne!(of_term(b"nmara"), of_term(b"emara"));
        // Three characters of three bytes each.
        assert_eq!(of_term(&term("王小明")), of_term(&term("王小明明")));
        assert_ne!(of_term(&term("王小")), of_term(&term("王小明")));
        assert_eq!(of_term(&term("王小")) & of_term(&term("王小明")), of_term(&term("王小")));
    }

    #[test]
    fn what_is_stored_stays() {
        // The test vectors of the draft, appendix C.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    proptest! {
        #[test]
        fn who_has_a_term_has_the_marks_of_its_beginnings(words in prop::collection::vec("\\PC{1,6}", 1..5), pick in any::<prop::sample::Index>(), chars in 1..7_usize) {
            let marks = of_terms(words.iter().map(|word| term(word)));
            let beginning: String = pick.get(&words).chars().take(chars).collect();
            let wanted = of_term(&term(&beginning));
            prop_assert_eq!(marks & wanted, wanted);
            prop_assert!(marks >= 0);
        }
    }
}
