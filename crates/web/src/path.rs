//! The ids in the paths of routes.

use axum::extract::RawPathParams;
use axum::extract::rejection::RawPathParamsRejection;

/// What a router knows of a path; an extractor.
pub type RawPath = Result<RawPathParams, RawPathParamsRejection>;

/// The ids in a path that matched `route`, in order. What is not UTF-8 is no id: it becomes empty, which no object has.
pub fn ids(path: RawPath, route: &str) -> Vec<String> {
    match path {
        Ok(path) => path.iter().map(|(_, value)| value.to_owned()).collect(),
        Err(_) => vec![String::new(); route.matches('{').count()],
    }
}
