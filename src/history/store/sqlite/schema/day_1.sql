-- The exchanges that ended on one day (UTC).
-- Names are numbers of `names`, closed sets are numbers of `codes`; NULL is unknown, or that there is none.

CREATE TABLE names (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  UNIQUE (kind, name)
) STRICT;

CREATE TABLE codes (
  kind TEXT NOT NULL,
  code INTEGER NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (kind, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE exchanges (
  id INTEGER PRIMARY KEY,            -- when it ended: milliseconds since the epoch << 20 | process << 16 | sequence
  weight INTEGER NOT NULL,           -- for how many exchanges this row stands
  trace BLOB NOT NULL,               -- 16 bytes
  number INTEGER NOT NULL,           -- among the exchanges of its process: with the trace the name of one that goes on
  parent BLOB,                       -- the client's span, 8 bytes
  backend INTEGER,
  model INTEGER,
  tenant INTEGER,
  client INTEGER,                    -- the product of the client
  conversation BLOB,                 -- 8 bytes: a hash, with a salt that main.db has, of what the client calls it
  messages INTEGER,                  -- in the request of a chat
  endpoint INTEGER,
  method INTEGER NOT NULL,
  dialect INTEGER NOT NULL,
  operation INTEGER NOT NULL,
  status INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  error INTEGER,
  phase INTEGER NOT NULL,
  finish INTEGER,
  cold INTEGER,
  flags INTEGER NOT NULL,            -- 1 tunnel, 2 streamed, 4 prompt probably cut, 8 no tokens, 16 defect, 32 sampled
  sources INTEGER NOT NULL,          -- source of the prompt's count + 1, and of the generated one's, in 4 bits each; 0 none
  attempts INTEGER NOT NULL,         -- backends tried
  hedged INTEGER,
  queue_us INTEGER,                  -- the wait for a place on a backend
  placed_us INTEGER,                 -- offsets from the start …
  dial_us INTEGER,
  sent_us INTEGER,
  uploaded_us INTEGER,
  head_us INTEGER,
  ttfb_us INTEGER,
  ttft_us INTEGER,
  answer_us INTEGER,                 -- … to the first token of the answer
  duration_us INTEGER NOT NULL,
  load_us INTEGER,
  prefill_us INTEGER,
  decode_us INTEGER,
  overhead_us INTEGER,
  max_gap_us INTEGER,
  tpot_us INTEGER,
  tps REAL,
  stalls INTEGER,
  events INTEGER,
  prompt_tokens INTEGER,
  generated_tokens INTEGER,
  cached_tokens INTEGER,
  reasoning_tokens INTEGER,
  drafted_tokens INTEGER,
  accepted_tokens INTEGER,
  prompt_chars INTEGER,
  context INTEGER,                   -- the length of the model's context
  request_bytes INTEGER NOT NULL,
  response_bytes INTEGER NOT NULL,
  progress_bytes INTEGER,
  cost_nano INTEGER,
  price INTEGER,
  energy_mj INTEGER
) STRICT;

CREATE INDEX exchanges_trace ON exchanges (trace);
-- Has all by which failures are counted, so that their rows are not read for it.
CREATE INDEX exchanges_failed ON exchanges (outcome, error, status, backend, model, weight) WHERE outcome <> 0;
-- Likewise for how many conversations somebody had.
CREATE INDEX exchanges_conversation ON exchanges (conversation, tenant, client) WHERE conversation IS NOT NULL;

CREATE VIEW exchanges_named AS
SELECT e.id, e.id >> 20 AS ended_ms, e.weight, lower(hex(e.trace)) AS trace,
  b.name AS backend, m.name AS model, t.name AS tenant, c.name AS client,
  CASE WHEN e.conversation IS NOT NULL THEN lower(hex(e.conversation)) END AS conversation, e.messages, p.name AS endpoint,
  o.name AS outcome, r.name AS error, h.name AS phase, e.status, e.duration_us, e.ttft_us,
  e.prompt_tokens, e.generated_tokens, e.request_bytes, e.response_bytes
FROM exchanges e
LEFT JOIN names b ON b.id = e.backend
LEFT JOIN names m ON m.id = e.model
LEFT JOIN names t ON t.id = e.tenant
LEFT JOIN names c ON c.id = e.client
LEFT JOIN names p ON p.id = e.endpoint
LEFT JOIN codes o ON o.kind = 'outcome' AND o.code = e.outcome
LEFT JOIN codes r ON r.kind = 'error' AND r.code = e.error
LEFT JOIN codes h ON h.kind = 'phase' AND h.code = e.phase;
