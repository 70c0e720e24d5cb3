//! Heads of requests: line and headers, within their limit.

use poem::Request;

use super::problem::Problem;

/// What HTTP/1.1 writes around a line: `: ` and the line's end.
const AROUND: usize = 4;

/// Checks the size of a request's head.
///
/// # Errors
/// 431 over the limit.
pub(super) fn check(request: &Request, max: usize) -> Result<(), Problem> {
    let target = request.original_uri().path_and_query().map_or(0, |target| target.as_str().len());
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + AROUND);
    let size = target + headers.sum::<usize>();
    if size <= max {
        return Ok(());
    }
    let detail = format!("the address and the headers have {size} bytes together, and at most {max} are taken");
    Err(Problem::new("head_too_large", detail))
}
