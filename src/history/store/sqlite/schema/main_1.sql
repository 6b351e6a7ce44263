-- Everything but single exchanges. Times are seconds since the epoch where they begin an interval, else milliseconds.
-- Names are numbers of `names` (0 is none), closed sets are numbers of `codes`; NULL is unknown.

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

CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value ANY
) STRICT, WITHOUT ROWID;

CREATE TABLE rollups (
  step INTEGER NOT NULL,             -- 60 or 3600
  at INTEGER NOT NULL,
  backend INTEGER NOT NULL,
  model INTEGER NOT NULL,
  tenant INTEGER NOT NULL,
  operation INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  by_outcome BLOB NOT NULL,          -- pairs of varints: number of the outcome, exchanges
  started INTEGER NOT NULL,
  prompt_tokens INTEGER,
  generated_tokens INTEGER,
  cached_tokens INTEGER,
  reasoning_tokens INTEGER,
  wasted_tokens INTEGER NOT NULL,
  busy_us INTEGER NOT NULL,          -- exchanges × microseconds
  concurrency_max INTEGER,
  bytes_in INTEGER NOT NULL,
  bytes_out INTEGER NOT NULL,
  cold INTEGER NOT NULL,
  stalls INTEGER NOT NULL,
  cost_nano INTEGER,
  saved_nano INTEGER,
  energy_mj INTEGER,
  duration BLOB,                     -- sketches …
  ttft BLOB,
  ttft_warm BLOB,
  tpot BLOB,
  tps BLOB,
  queue BLOB,
  load BLOB,                         -- …
  changed INTEGER NOT NULL,          -- the number of its last change: they ascend
  PRIMARY KEY (step, at, backend, model, tenant, operation)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX rollups_changed ON rollups (changed);

-- The intervals in which the program ran: in these, no exchange means none.
CREATE TABLE ran (
  step INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (step, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE tops (
  at INTEGER NOT NULL,               -- the hour
  measure TEXT NOT NULL,             -- duration, tokens or cost
  value INTEGER NOT NULL,
  exchange INTEGER NOT NULL,         -- its id
  PRIMARY KEY (at, measure, value, exchange)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  id INTEGER PRIMARY KEY,            -- as the ids of exchanges
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  severity TEXT NOT NULL,
  who TEXT,
  what TEXT NOT NULL,
  subject TEXT,
  trace BLOB,
  state TEXT,
  detail TEXT                        -- JSON
) STRICT;
CREATE INDEX events_kind ON events (kind, id);

CREATE TABLE jobs (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  model TEXT,
  backend TEXT,
  started INTEGER NOT NULL,
  ended INTEGER,
  state TEXT NOT NULL,
  bytes_done INTEGER,
  bytes_total INTEGER,
  step TEXT,
  error TEXT
) STRICT;
CREATE INDEX jobs_started ON jobs (started);

CREATE TABLE host (
  step INTEGER NOT NULL,             -- 60 or 3600
  at INTEGER NOT NULL,
  node INTEGER NOT NULL,
  n INTEGER NOT NULL,                -- readings
  cpu REAL,                          -- means: ratios, bytes, bytes a second, watts, degrees Celsius
  memory REAL,
  pressure REAL,
  disk_read REAL,
  disk_written REAL,
  net_received REAL,
  net_sent REAL,
  gpu REAL,
  gpu_memory REAL,
  gpu_watts REAL,
  gpu_celsius REAL,
  cpu_watts REAL,
  cpu_celsius REAL,
  PRIMARY KEY (step, at, node)
) STRICT, WITHOUT ROWID;

CREATE TABLE gpu (
  step INTEGER NOT NULL,
  at INTEGER NOT NULL,
  node INTEGER NOT NULL,
  uuid TEXT NOT NULL,                -- else its place
  n INTEGER NOT NULL,
  utilization REAL,
  memory REAL,
  watts REAL,
  celsius REAL,
  PRIMARY KEY (step, at, node, uuid)
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
  id INTEGER PRIMARY KEY,
  rule TEXT NOT NULL,
  fingerprint TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  severity TEXT NOT NULL,
  started INTEGER NOT NULL,
  resolved INTEGER,
  acked_by TEXT,
  acked_at INTEGER,
  value REAL,
  subject TEXT,
  detail TEXT
) STRICT;

CREATE TABLE prices (
  id INTEGER PRIMARY KEY,
  model TEXT NOT NULL,
  backend TEXT,
  tenant TEXT,
  since INTEGER NOT NULL,
  currency TEXT NOT NULL,
  input_nano INTEGER,                -- for a million tokens, in billionths
  cached_input_nano INTEGER,
  cache_write_nano INTEGER,
  output_nano INTEGER,
  reasoning_nano INTEGER,
  request_nano INTEGER               -- for a request
) STRICT;
