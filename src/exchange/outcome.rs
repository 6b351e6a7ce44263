//! How an exchange ended, and whose doing it was.
//!
//! Closed sets of words, each of them a label value. How they are chosen stands in the observation's `verdict`.

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label value.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

labels! {
    /// How an exchange ended. The first that fits counts, in this order.
    Outcome {
        /// Refused by us; no backend was asked to the end.
        Rejected = "rejected",
        /// The client left before the terminal event was handed on.
        ClientCancelled = "client_cancelled",
        /// The backend reported an error inside a success status.
        StreamError = "stream_error",
        /// Dial, timeout, reset, short of its Content-Length, end inside a chunk.
        BackendFailed = "backend_failed",
        /// A clean end without the dialect's terminal event, or one that we made when the time to drain was over.
        Truncated = "truncated",
        /// A status of 400 or above.
        HttpError = "http_error",
        /// All well.
        Completed = "completed",
    }
}

labels! {
    /// Whose doing an error was.
    Origin {
        /// The backend's side.
        Upstream = "upstream",
        /// The client's side.
        Downstream = "downstream",
        /// Ours.
        Internal = "internal",
    }
}

labels! {
    /// What went wrong, in bounded words.
    ErrorType {
        /// The backend refused the connection.
        ConnectRefused = "connect_refused",
        /// The backend did not accept the connection in time.
        ConnectTimeout = "connect_timeout",
        /// The backend's name did not resolve.
        Dns = "dns",
        /// The backend's TLS was not accepted, or ours by it.
        Tls = "tls",
        /// The backend reset the connection.
        Reset = "reset",
        /// The backend did not begin its answer in time.
        FirstByteTimeout = "first_byte_timeout",
        /// The backend's answer ended too early.
        Incomplete = "incomplete",
        /// The backend does not speak HTTP as it must.
        Protocol = "protocol",
        /// The client's body is malformed.
        ClientBody = "client_body",
        /// The client was too slow.
        ClientTimeout = "client_timeout",
        /// The request cannot be forwarded.
        BadRequest = "bad_request",
        /// A limit of ours was reached.
        Limit = "limit",
        /// We are going down.
        Draining = "draining",
        /// The backend reported an error inside a success status.
        StreamError = "stream_error",
        /// A clean end without the dialect's terminal event.
        Truncated = "truncated",
        /// The backend answered with a status of 500 or above.
        Http5xx = "http_5xx",
        /// A fault of ours.
        Internal = "internal",
    }
}

impl ErrorType {
    /// Whose doing it is.
    #[must_use]
    pub const fn origin(self) -> Origin {
        match self {
            Self::ConnectRefused
            | Self::ConnectTimeout
            | Self::Dns
            | Self::Tls
            | Self::Reset
            | Self::FirstByteTimeout
            | Self::Incomplete
            | Self::Protocol
            | Self::StreamError
            | Self::Truncated
            | Self::Http5xx => Origin::Upstream,
            Self::ClientBody | Self::ClientTimeout | Self::BadRequest => Origin::Downstream,
            Self::Limit | Self::Draining | Self::Internal => Origin::Internal,
        }
    }
}

labels! {
    /// How far an exchange has come.
    Phase {
        /// The request's body is not all sent.
        Upload = "upload",
        /// No response head yet.
        Waiting = "waiting",
        /// A head, no token yet.
        Prefill = "prefill",
        /// Tokens are coming.
        Decode = "decode",
    }
}

labels! {
    /// Why an exchange found its model not in memory.
    ColdCause {
        /// It was not in memory since we began to look.
        First = "first",
        /// Nobody used it for as long as it is kept.
        Expired = "expired",
        /// Another model came in its place.
        Evicted = "evicted",
        /// A request that passed through us sent it away.
        Unloaded = "unloaded",
        /// It was in memory with a context of another length, or with other options of loading.
        OptionsChanged = "options_changed",
        /// The backend was started again.
        Restart = "restart",
        /// It left for a reason that cannot be seen.
        Unknown = "unknown",
    }
}

labels! {
    /// Why a request was refused before it became an exchange.
    Malformed {
        /// The request line is not one.
        RequestLine = "request_line",
        /// The target holds bytes that must not be forwarded.
        Target = "target",
        /// A TLS handshake that failed, or something else where TLS is spoken.
        Tls = "tls",
        /// Not HTTP/1.0 or 1.1, nor HTTP/2 from a connection's first byte on.
        Version = "version",
        /// A header field that is not one.
        Header = "header",
        /// No valid `Host`, or several.
        Host = "host",
        /// A `Content-Length` that is malformed or repeated, or stands beside a `Transfer-Encoding`.
        ContentLength = "content_length",
        /// A `Transfer-Encoding` other than exactly one `chunked`.
        TransferEncoding = "transfer_encoding",
        /// `CONNECT`.
        Connect = "connect",
        /// A head that is too large, or one of HTTP/2 that is too much beside the others of its connection.
        TooLarge = "too_large",
        /// A head that did not come in time.
        Timeout = "timeout",
        /// A stream or a connection that breaks HTTP/2 itself.
        Http2 = "http2",
        /// A connection of HTTP/2 with too many frames that carry nothing, or streams that are reset.
        Flood = "flood",
        /// Anything else that the HTTP library refuses.
        Other = "other",
    }
}

/// What the proxy knows of an exchange's end. The observation joins it with what it read into an [`Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The response was handed on to its last byte.
    Complete,
    /// The client left.
    ClientLeft,
    /// We refused it, or gave it up on the client's account, or ended it when the time to drain was over.
    Rejected(ErrorType),
    /// The backend failed it.
    BackendFailed(ErrorType),
}
