//! Serves the documents and their page to anybody: they say what there is and nothing of anybody's own.

use super::page;
use crate::dispatch::{Backend, plain_answer};
use axum::Router;
use axum::extract::{Request, State};
use axum::routing::get;
use std::sync::LazyLock;
use web::App;

type Text = LazyLock<String>;

static ADMIN_JSON: Text = Text::new(|| format!("{:#}", super::admin_document()));
static PUBLIC_JSON: Text = Text::new(|| format!("{:#}", super::public_document()));
static ADMIN_PAGE: Text = Text::new(|| page::html(super::admin_document()));
static PUBLIC_PAGE: Text = Text::new(|| page::html(super::public_document()));

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

/// `/docs/…` of a backend.
pub(crate) fn routes(backend: Backend) -> Router<App> {
    let (json, page) = match backend {
        Backend::Admin => (&ADMIN_JSON, &ADMIN_PAGE),
        Backend::Public => (&PUBLIC_JSON, &PUBLIC_PAGE),
    };
    let file = move |kind: &'static str, text: fn(&'static Text) -> &'static str, of: &'static Text| {
        get(move |State(app): State<App>, request: Request| async move {
            plain_answer(&app, backend, request.extensions(), kind, text(of))
        })
    };
    Router::new()
        .route("/docs/openapi.json", file(JSON, |text| text, json))
        .route("/docs/index.html", file(HTML, |text| text, page))
        .route("/docs/style.css", file(CSS, |_| page::STYLE, page))
}
