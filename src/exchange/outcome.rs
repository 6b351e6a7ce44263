//! How an exchange ended, and which side caused it.
//!
//! Closed sets of label values. `verdict` chooses among them.

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
    /// How an exchange ended. The first outcome that applies counts, in this order.
    Outcome {
        /// Refused by the proxy, or given up because of the client.
        Rejected = "rejected",
        /// The client left before the terminal event was forwarded.
        ClientCancelled = "client_cancelled",
        /// The backend reported an error inside a success status.
        StreamError = "stream_error",
        /// The connection failed, timed out or was reset, or the response ended short of its `Content-Length` or inside
        /// a chunk.
        BackendFailed = "backend_failed",
        /// A clean end without the dialect's terminal event, or cut by the proxy: when its drain time was over, or an
        /// operator stopped the exchange.
        Truncated = "truncated",
        /// A status of 400 or above.
        HttpError = "http_error",
        /// None of the above: the whole answer was forwarded.
        Completed = "completed",
    }
}

labels! {
    /// Which side caused an error.
    Origin {
        /// The backend, or the network to it.
        Upstream = "upstream",
        /// The client, or the network to it.
        Downstream = "downstream",
        /// The proxy.
        Internal = "internal",
    }
}

labels! {
    /// What went wrong.
    ErrorType {
        /// The backend refused the connection.
        ConnectRefused = "connect_refused",
        /// The backend did not accept the connection in time.
        ConnectTimeout = "connect_timeout",
        /// The backend's name did not resolve.
        Dns = "dns",
        /// The TLS handshake with the backend failed.
        Tls = "tls",
        /// The backend reset the connection.
        Reset = "reset",
        /// The backend did not begin its answer in time.
        FirstByteTimeout = "first_byte_timeout",
        /// The backend's response ended too early.
        Incomplete = "incomplete",
        /// The backend broke HTTP.
        Protocol = "protocol",
        /// The client's body is malformed.
        ClientBody = "client_body",
        /// The client was too slow.
        ClientTimeout = "client_timeout",
        /// The request cannot be forwarded.
        BadRequest = "bad_request",
        /// A limit of the proxy was reached.
        Limit = "limit",
        /// The proxy is shutting down.
        Draining = "draining",
        /// The backend reported an error inside a success status.
        StreamError = "stream_error",
        /// A clean end without the dialect's terminal event.
        Truncated = "truncated",
        /// The backend answered with a status of 500 or above.
        Http5xx = "http_5xx",
        /// A bug in the proxy.
        Internal = "internal",
        /// Every backend that may serve the request is being drained.
        NoBackend = "no_backend",
        /// An operator stopped the exchange.
        Stopped = "stopped",
    }
}

impl ErrorType {
    /// The side that causes errors of this type.
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
            Self::Limit | Self::Draining | Self::Internal | Self::NoBackend | Self::Stopped => Origin::Internal,
        }
    }
}

labels! {
    /// How far an exchange has come, in this order.
    Phase {
        /// The request is not sent completely.
        Upload = "upload",
        /// The request is sent; no response head yet.
        Waiting = "waiting",
        /// The response head arrived; no token yet.
        Prefill = "prefill",
        /// Tokens arrive.
        Decode = "decode",
    }
}

labels! {
    /// Why a model was not in memory when an exchange needed it.
    ColdCause {
        /// It was never seen in memory since this process started.
        First = "first",
        /// Its keep-alive time passed without a request.
        Expired = "expired",
        /// Another model took its memory.
        Evicted = "evicted",
        /// A request through the proxy unloaded it.
        Unloaded = "unloaded",
        /// It was loaded with another context length or other load options.
        OptionsChanged = "options_changed",
        /// The backend was restarted.
        Restart = "restart",
        /// It was unloaded for an unknown reason.
        Unknown = "unknown",
    }
}

labels! {
    /// Why a request was refused before it became an exchange.
    Malformed {
        /// The request line is malformed.
        RequestLine = "request_line",
        /// The target holds bytes that must not be forwarded.
        Target = "target",
        /// The TLS handshake failed, or the client did not speak TLS.
        Tls = "tls",
        /// Not HTTP/1.0 or 1.1, nor HTTP/2 from a connection's first byte on.
        Version = "version",
        /// A malformed header field.
        Header = "header",
        /// No valid `Host`, or several.
        Host = "host",
        /// A `Content-Length` that is malformed or repeated, or comes with a `Transfer-Encoding`.
        ContentLength = "content_length",
        /// A `Transfer-Encoding` other than exactly one `chunked`.
        TransferEncoding = "transfer_encoding",
        /// `CONNECT`.
        Connect = "connect",
        /// A head that is too large, alone or (HTTP/2) together with the others of its connection.
        TooLarge = "too_large",
        /// The head did not arrive in time.
        Timeout = "timeout",
        /// A violation of HTTP/2, of a stream or a connection.
        Http2 = "http2",
        /// An HTTP/2 connection with too many empty frames or reset streams.
        Flood = "flood",
        /// Anything else that the HTTP library refuses.
        Other = "other",
    }
}

/// The end of an exchange as the proxy saw it. Joined with what was parsed, it becomes an [`Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The response was forwarded to its last byte.
    Complete,
    /// The client left.
    ClientLeft,
    /// The proxy refused it, gave it up because of the client, or cut it: its drain time was over, or an operator
    /// stopped it.
    Rejected(ErrorType),
    /// The backend failed.
    BackendFailed(ErrorType),
}
