-- A store as the first version of the schema made it, with one run.
CREATE TABLE runs (
	id         TEXT NOT NULL PRIMARY KEY,
	pipeline   TEXT NOT NULL,
	cause      TEXT NOT NULL,
	data_start BIGINT NOT NULL,
	data_end   BIGINT NOT NULL,
	state      TEXT NOT NULL,
	params     TEXT,
	version    TEXT NOT NULL,
	created    BIGINT NOT NULL,
	started    BIGINT,
	ended      BIGINT,
	reason     TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX runs_interval ON runs (pipeline, data_start);
CREATE INDEX runs_start ON runs (data_start);
CREATE INDEX runs_state ON runs (state, data_start);
CREATE TABLE task_runs (
	run_id     TEXT NOT NULL,
	task       TEXT NOT NULL,
	state      TEXT NOT NULL,
	attempt    BIGINT NOT NULL DEFAULT 0,
	failures   BIGINT NOT NULL DEFAULT 0,
	token      BIGINT NOT NULL DEFAULT 0,
	not_before BIGINT,
	queued     BIGINT,
	started    BIGINT,
	ended      BIGINT,
	reason     TEXT NOT NULL DEFAULT '',
	result     TEXT,
	PRIMARY KEY (run_id, task)
) WITHOUT ROWID;
CREATE TABLE history (
	id         INTEGER PRIMARY KEY,
	run_id     TEXT NOT NULL,
	task       TEXT NOT NULL,
	from_state TEXT NOT NULL,
	to_state   TEXT NOT NULL,
	event      TEXT NOT NULL,
	at         BIGINT NOT NULL,
	attempt    BIGINT NOT NULL,
	failures   BIGINT NOT NULL,
	token      BIGINT NOT NULL,
	not_before BIGINT,
	reason     TEXT NOT NULL,
	result     TEXT
);
CREATE INDEX history_task ON history (run_id, task);
CREATE TABLE logs (
	id      INTEGER PRIMARY KEY,
	run_id  TEXT NOT NULL,
	task    TEXT NOT NULL,
	attempt BIGINT NOT NULL,
	at      BIGINT NOT NULL,
	level   TEXT NOT NULL,
	text    TEXT NOT NULL
);
CREATE INDEX logs_task ON logs (run_id, task);
CREATE TABLE versions (
	model        TEXT NOT NULL,
	number       BIGINT NOT NULL,
	state        TEXT NOT NULL,
	created      BIGINT NOT NULL,
	body         TEXT NOT NULL,
	decided_by   TEXT NOT NULL,
	decided_why  TEXT NOT NULL,
	decided_time BIGINT,
	artifact     BLOB,
	PRIMARY KEY (model, number)
);
CREATE UNIQUE INDEX versions_champion ON versions (model) WHERE state = 'champion';
CREATE TABLE schema_version (version BIGINT NOT NULL);
INSERT INTO schema_version VALUES (1);
INSERT INTO runs (id, pipeline, cause, data_start, data_end, state, version, created, reason)
	VALUES ('r', 'p', 'manual', 1, 2, 'queued', 'v1', 3, '');
INSERT INTO task_runs (run_id, task, state) VALUES ('r', 'x', 'scheduled');
