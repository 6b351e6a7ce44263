//! The dialect and operation of a request, by its method and path alone.
//!
//! The table is the only list of endpoints. Templates are label values, so the set is closed: a path that is not listed
//! is `other`. The path is looked up without a path prefix of the backend. Sources: Ollama `server/routes.go`,
//! llama.cpp `tools/server/server.cpp`, vLLM `entrypoints`, SGLang `http_server.py`, TGI `router/src/server.rs`, LM
//! Studio's REST documentation.

mod endpoint;
mod table;

pub use endpoint::{BodyFormat, Dialect, ErrorShape, Operation, Route};

impl Route {
    /// `path` is the raw path without the query. For a method that the endpoint does not have, the template and the
    /// dialect are known, and the operation is [`Operation::Other`].
    #[must_use]
    pub fn of(method: &str, path: &str) -> Self {
        match table::naming_a_model(path) {
            Some((wanted, route)) if wanted == method => route,
            Some((_, route)) => Self::plain(route.endpoint, route.dialect),
            None => table::plain(method, path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_documented_request_is_known_by_method_and_path() {
        let chat = Route::of("POST", "/api/chat");
        assert_eq!((chat.endpoint, chat.dialect), ("/api/chat", Dialect::Ollama));
        assert_eq!((chat.operation, chat.format, chat.names_model), (Operation::Chat, BodyFormat::Ollama, true));
        let delete = Route::of("DELETE", "/api/delete");
        assert_eq!((delete.operation, delete.names_model), (Operation::Other, true));
    }

    #[test]
    fn a_method_that_the_endpoint_lacks_asks_for_nothing() {
        for method in ["GET", "OPTIONS", "post", "HEAD", "BREW"] {
            let route = Route::of(method, "/api/chat");
            assert_eq!((route.endpoint, route.dialect), ("/api/chat", Dialect::Ollama), "{method}");
            assert_eq!((route.operation, route.format, route.names_model), (Operation::Other, BodyFormat::None, false));
        }
    }

    #[test]
    fn responses_are_chats_with_a_parser_of_their_own() {
        let route = Route::of("POST", "/v1/responses");
        assert_eq!((route.dialect, route.operation), (Dialect::OpenAi, Operation::Chat));
        assert_eq!(route.format, BodyFormat::Responses);
        assert_eq!(Route::of("GET", "/v1/responses/resp_1").operation, Operation::Other, "a replay is not counted");
    }

    #[test]
    fn endpoints_without_generated_tokens_are_listed_and_expect_none() {
        for path in [
            "/reranking",
            "/v1/reranking",
            "/chat/completions/input_tokens",
            "/v1/chat/completions/input_tokens",
            "/responses/input_tokens",
            "/v1/responses/input_tokens",
            "/v1/messages/count_tokens",
            "/v1/images/generations",
            "/v1/images/edits",
            "/v1/images/variations",
            "/v1/audio/speech",
            "/v1/audio/transcriptions",
            "/v1/audio/translations",
            "/audio/speech",
            "/audio/transcriptions",
            "/audio/translations",
        ] {
            let route = Route::of("POST", path);
            assert_eq!((route.endpoint, route.names_model), (path, true));
            assert!(!route.operation.generates(), "{path}");
        }
    }

    #[test]
    fn names_in_a_path_become_a_template() {
        let cases = [
            ("POST", "/api/blobs/sha256:0123", "/api/blobs/:digest"),
            ("HEAD", "/api/blobs/sha256:0123", "/api/blobs/:digest"),
            ("GET", "/v1/models/hf.co%2Forg%2Fm:Q4", "/v1/models/:model"),
            ("GET", "/v1/models/org/m", "/v1/models/:model"),
            ("POST", "/slots/3", "/slots/:id"),
            ("GET", "/v1/stream/c1", "/v1/stream/:conversation"),
            ("GET", "/v1/responses/resp_1", "/v1/responses/:id"),
            ("POST", "/v1/responses/resp_1/cancel", "/v1/responses/:id"),
            ("GET", "/v1/chat/completions/chatcmpl-1/messages", "/v1/chat/completions/:id"),
            ("POST", "/v1/chat/completions/control", "/v1/chat/completions/control"),
            ("GET", "/v1/files/file-1/content", "/v1/files/:id"),
            ("POST", "/v1/batches/batch_1/cancel", "/v1/batches/:id"),
            ("POST", "/v1/conversations/conv_1/items", "/v1/conversations/:id"),
            ("DELETE", "/api/user/keys/abc", "/api/user/keys/:key"),
            ("GET", "/api/v0/models/m", "/api/v0/models/:model"),
        ];
        for (method, path, endpoint) in cases {
            assert_eq!(Route::of(method, path).endpoint, endpoint, "{method} {path}");
        }
    }

    #[test]
    fn an_unknown_path_is_other() {
        let paths =
            ["", "/nope", "//api/chat", "/api/chat/", "/api/blobs/", "/v1/models/", "*", "/API/chat", "/api/chat "];
        for path in paths {
            assert_eq!(Route::of("POST", path), Route::OTHER, "{path}");
        }
    }

    #[test]
    fn one_path_may_mean_two_servers() {
        assert_eq!(Route::of("GET", "/").dialect, Dialect::Ollama);
        assert_eq!(Route::of("POST", "/").dialect, Dialect::Tgi);
    }
}
