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
  cached_of_tokens INTEGER,          -- prompt tokens of the exchanges that report cached ones
  reasoning_tokens INTEGER,
  wasted_tokens INTEGER NOT NULL,
  busy_us INTEGER NOT NULL,          -- exchanges × microseconds
  concurrency_max INTEGER,
  bytes_in INTEGER NOT NULL,
  bytes_out INTEGER NOT NULL,
  cold INTEGER NOT NULL,
  stalls INTEGER NOT NULL,
  client_errors INTEGER NOT NULL,    -- answered with a status of 400 to 499
  retried INTEGER NOT NULL,          -- sent to another backend, as the first could not be reached
  messages INTEGER,                  -- in the requests of chats
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

-- Events and audit entries. Ids ascend in the order of writing, and are not used again.
CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,               -- milliseconds since the epoch
  kind TEXT NOT NULL,                -- event or audit
  severity TEXT NOT NULL,            -- info, warning, error or critical
  component TEXT NOT NULL,           -- the part of the program that it comes from
  what TEXT NOT NULL,                -- the kind of event, or the action
  who TEXT,                          -- a tenant, a user of the second listener, or the product of a client
  backend TEXT,
  subject TEXT,                      -- the model, the collector or whatever it is about
  trace BLOB,                        -- 16 bytes
  result TEXT,                       -- of an action: success, failure or refused
  detail TEXT                        -- a JSON object
) STRICT;
CREATE INDEX events_at ON events (kind, at, id);

-- Pulls, pushes and creates.
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY,            -- the same while it runs and afterwards
  process INTEGER NOT NULL,          -- the number of the process that serves it
  kind TEXT NOT NULL,
  state TEXT NOT NULL,               -- running, completed, failed, cancelled or lost
  backend TEXT,
  model TEXT,
  who TEXT,
  trace BLOB NOT NULL,               -- 16 bytes
  started INTEGER NOT NULL,          -- milliseconds since the epoch
  ended INTEGER,
  bytes_done INTEGER,                -- in place, those of before included
  bytes_total INTEGER,
  bytes_moved INTEGER,               -- by this job
  rate INTEGER,                      -- bytes a second
  step TEXT,                         -- in the backend's words
  status INTEGER,
  error TEXT
) STRICT;
CREATE INDEX jobs_started ON jobs (started, id);

-- Lines of the log.
CREATE TABLE logs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,               -- milliseconds since the epoch
  level INTEGER NOT NULL,            -- 0 trace, 1 debug, 2 info, 3 warn, 4 error
  component TEXT NOT NULL,
  message TEXT NOT NULL,
  fields TEXT,                       -- a JSON object
  bytes INTEGER NOT NULL             -- of the line, about
) STRICT;
CREATE INDEX logs_at ON logs (at, id);

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
  id TEXT PRIMARY KEY,
  rule TEXT NOT NULL,
  state TEXT NOT NULL,               -- firing or resolved
  severity TEXT NOT NULL,            -- info, warning or critical
  category TEXT NOT NULL,
  labels TEXT NOT NULL,              -- a JSON object
  subject TEXT,                      -- the backend, the model, the GPU or whatever it is about
  started INTEGER NOT NULL,          -- milliseconds since the epoch: the condition began to hold
  fired INTEGER NOT NULL,            -- it had held for long enough
  resolved INTEGER,
  acked_by TEXT,
  acked_at INTEGER,
  value REAL,                        -- the last one
  threshold REAL,
  summary TEXT NOT NULL,
  description TEXT NOT NULL
) STRICT;
CREATE INDEX alerts_started ON alerts (started, id);

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
