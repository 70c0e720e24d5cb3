//! What poem itself answers, as problems: unknown paths and methods, parameters that can't be read.

use poem::error::{MethodNotAllowedError, NotFoundError};
use poem_openapi::error::{AuthorizationError, ContentTypeError, ParseParamError, ParsePathError};

use super::problem::Problem;

/// The deepest JSON that is read.
const MAX_DEPTH: usize = 64;

/// A poem error as a problem.
pub(crate) fn as_problem(error: &poem::Error) -> Problem {
    if let Some(problem) = error.downcast_ref::<Problem>() {
        return problem.clone();
    }
    if let Some(error) = error.downcast_ref::<ParseParamError>() {
        return Problem::new("parameter_invalid", readable(&error.reason)).at(error.name);
    }
    if error.is::<ParsePathError>() {
        // What is no id names nothing.
        return Problem::new("not_found", "there is no such thing: the path needs an id as this service gave it");
    }
    if error.is::<AuthorizationError>() {
        return Problem::new("unauthenticated", "send a token: `Authorization: Bearer trn_…`");
    }
    if error.is::<ContentTypeError>() {
        return Problem::new("media_type_unsupported", "send JSON, with `Content-Type: application/json`");
    }
    if error.is::<NotFoundError>() {
        return Problem::new("not_found", "there is no such path");
    }
    if error.is::<MethodNotAllowedError>() {
        return Problem::new("method_not_allowed", "this path has no such method");
    }
    match error.status().as_u16() {
        400 => Problem::new("parameter_invalid", "a parameter or header can't be read"),
        404 => Problem::new("not_found", "there is no such path"),
        405 => Problem::new("method_not_allowed", "this path has no such method"),
        413 => Problem::new("body_too_large", "the body is too large"),
        415 => Problem::new("media_type_unsupported", "send JSON, with `Content-Type: application/json`"),
        // Its own words may hold paths and names of ours.
        _ => Problem::internal(error),
    }
}

/// Whether JSON nests deeper than anything here needs.
pub(crate) fn is_too_deep(body: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in body {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'{' | b'[') => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// That it is.
pub(crate) fn too_deep() -> Problem {
    Problem::new("body_malformed", format!("the JSON nests deeper than {MAX_DEPTH} levels"))
}

/// A parameter's error without the names of types.
fn readable(reason: &str) -> String {
    let reason = reason.split(" (occurred while parsing ").next().unwrap_or(reason);
    match reason.split_once("\": ") {
        Some((kind, why)) if kind.starts_with("failed to parse \"") => why.to_owned(),
        _ if reason.contains("expects an input value") => "it is missing".to_owned(),
        _ => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_of_texts_only() {
        assert!(!is_too_deep(&[b"[".repeat(64), b"]".repeat(64)].concat()));
        assert!(is_too_deep(&b"[".repeat(65)));
        assert!(!is_too_deep(format!("\"{}\\\"{}\"", "[".repeat(50), "[".repeat(50)).as_bytes()));
    }

    #[test]
    fn what_poem_says_of_itself_stays_inside() {
        let error = poem::Error::from_string("/srv/secret/path is gone", poem::http::StatusCode::INTERNAL_SERVER_ERROR);
        let problem = as_problem(&error);
        assert!(!format!("{problem}").contains("secret"), "{problem}");
    }
}
