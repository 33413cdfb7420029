BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE answer (
	run_id INTEGER NOT NULL, 
	question_id INTEGER NOT NULL, 
	pack_index INTEGER NOT NULL, 
	shots INTEGER NOT NULL, 
	picked INTEGER, 
	correct BOOLEAN NOT NULL, 
	prompt_hash BLOB NOT NULL, 
	options_logprob BLOB NOT NULL, 
	CONSTRAINT pk_answer PRIMARY KEY (run_id, question_id), 
	CONSTRAINT fk_answer_question_id FOREIGN KEY(question_id) REFERENCES question (id), 
	CONSTRAINT fk_answer_run_id_pack_index FOREIGN KEY(run_id, pack_index) REFERENCES pack (run_id, pack_index) DEFERRABLE INITIALLY DEFERRED
)
 WITHOUT ROWID

;
INSERT INTO "answer" VALUES(1,2,0,1,NULL,0,X'6B162F3DC2CA32C7CF05F06A073FFB5A3C0F5E355497AD5016B26915356C6E19',X'9A9999999999B9BF000000000000F8BF00000000000002C0555555555555D5BF');
INSERT INTO "answer" VALUES(1,3,0,1,NULL,0,X'4837EE4B95D3D4B8A35664117457F950039FBA6EA2D9569B1D14AF9BFDE94B9E',X'9A9999999999B9BF000000000000F8BF00000000000002C0555555555555D5BF');
INSERT INTO "answer" VALUES(1,4,0,1,NULL,0,X'A2967EC3B022C9BEDB29342BBBCDBA3B5765201557C13D8395C0D69734C24483',X'9A9999999999B9BF000000000000F8BF00000000000002C0555555555555D5BF');
INSERT INTO "answer" VALUES(2,2,0,1,0,1,X'6B162F3DC2CA32C7CF05F06A073FFB5A3C0F5E355497AD5016B26915356C6E19',X'9A9999999999B9BF000000000000F8BF00000000000002C0555555555555D5BF');
INSERT INTO "answer" VALUES(2,3,0,1,0,0,X'4837EE4B95D3D4B8A35664117457F950039FBA6EA2D9569B1D14AF9BFDE94B9E',X'9A9999999999B9BF000000000000F8BF00000000000002C0555555555555D5BF');
INSERT INTO "answer" VALUES(2,4,0,1,0,0,X'A2967EC3B022C9BEDB29342BBBCDBA3B5765201557C13D8395C0D69734C24483',X'9A9999999999B9BF000000000000F8BF00000000000002C0555555555555D5BF');
INSERT INTO "answer" VALUES(2,5,1,1,0,0,X'5B8BD220A34D62D5E31DE5837B43F0BAC24518655F1BC1808B61D0773BD78A63',X'9A9999999999B9BF000000000000F8BF00000000000002C0555555555555D5BF');
INSERT INTO "answer" VALUES(2,6,1,1,0,1,X'07A81378CE7861B85BC5B0174C0773402D363629DEE47E86D4B3F8505AF46DD2',X'9A9999999999B9BF000000000000F8BF00000000000002C0555555555555D5BF');
INSERT INTO "answer" VALUES(2,7,1,1,0,0,X'6AED0BFA6B904CA9E4261D2FE06F757277B21FDCB68B4A777B69B7FFD91A22B0',X'9A9999999999B9BF000000000000F8BF00000000000002C0555555555555D5BF');
CREATE TABLE attempt (
	run_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	worker VARCHAR NOT NULL, 
	started_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	outcome VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	measures JSON, traceback VARCHAR DEFAULT '' NOT NULL, 
	CONSTRAINT pk_attempt PRIMARY KEY (run_id, number), 
	CONSTRAINT fk_attempt_run_id FOREIGN KEY(run_id) REFERENCES run (id)
);
INSERT INTO "attempt" VALUES(2,1,'cpu@host:1','2031-05-06 07:08:09.123456','2031-05-06 07:08:09.123456','done','','{"load": {"wall_s": 0.0, "cpu_s": 0.0, "gpu_s": 0.0}, "score": {"wall_s": 2.0, "cpu_s": 4.0, "gpu_s": 1.0}, "write": {"wall_s": 0.0, "cpu_s": 0.0, "gpu_s": 0.0}, "peak_rss_bytes": 0, "peak_device_bytes": 0, "tokens_computed": 0, "tokens_saved": 0, "tokenize": {"wall_s": 0.0, "cpu_s": 0.0, "gpu_s": 0.0}, "prefix": {"wall_s": 0.0, "cpu_s": 0.0, "gpu_s": 0.0}}','');
INSERT INTO "attempt" VALUES(1,1,'cpu@host:1','2031-05-06 07:08:09.123456',NULL,'running','',NULL,'');
CREATE TABLE conversation (
	id VARCHAR NOT NULL, 
	title VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	touched_at DATETIME NOT NULL, 
	last_turn_id VARCHAR, 
	CONSTRAINT pk_conversation PRIMARY KEY (id)
);
CREATE TABLE exam (
	id INTEGER NOT NULL, 
	benchmark VARCHAR NOT NULL, 
	subject VARCHAR NOT NULL, 
	content_hash VARCHAR NOT NULL, 
	duplicates_dropped INTEGER NOT NULL, 
	CONSTRAINT pk_exam PRIMARY KEY (id), 
	CONSTRAINT uq_exam_benchmark_subject_content_hash UNIQUE (benchmark, subject, content_hash)
);
INSERT INTO "exam" VALUES(1,'demo','astronomy','1580deb80445bb5325f2128bcb3bc60a2c8bb20092606d93480363e100010410',1);
CREATE TABLE lane (
	lane VARCHAR NOT NULL, 
	runs INTEGER NOT NULL, 
	run_s FLOAT NOT NULL, 
	loads INTEGER NOT NULL, 
	load_s FLOAT NOT NULL, 
	CONSTRAINT pk_lane PRIMARY KEY (lane)
);
INSERT INTO "lane" VALUES('cpu/org/a@rev1/4bit',1,2.0,0,0.0);
CREATE TABLE pack (
	run_id INTEGER NOT NULL, 
	pack_index INTEGER NOT NULL, 
	sweep_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	questions INTEGER NOT NULL, 
	recorded_at DATETIME NOT NULL, 
	wall_s FLOAT NOT NULL, 
	cpu_s FLOAT NOT NULL, 
	gpu_s FLOAT NOT NULL, 
	CONSTRAINT pk_pack PRIMARY KEY (run_id, pack_index), 
	CONSTRAINT fk_pack_run_id FOREIGN KEY(run_id) REFERENCES run (id), 
	CONSTRAINT fk_pack_sweep_id FOREIGN KEY(sweep_id) REFERENCES sweep (id), 
	CONSTRAINT uq_pack_sweep_id_position UNIQUE (sweep_id, position)
)
 WITHOUT ROWID

;
INSERT INTO "pack" VALUES(1,0,1,3,1,3,'2031-05-06 07:08:09.123456',1.0,2.0,0.5);
INSERT INTO "pack" VALUES(2,0,1,1,1,3,'2031-05-06 07:08:09.123456',1.0,2.0,0.5);
INSERT INTO "pack" VALUES(2,1,1,2,1,3,'2031-05-06 07:08:09.123456',1.0,2.0,0.5);
CREATE TABLE question (
	id INTEGER NOT NULL, 
	exam_id INTEGER NOT NULL, 
	split VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	source_index INTEGER NOT NULL, 
	content_id VARCHAR NOT NULL, 
	text VARCHAR NOT NULL, 
	choices JSON NOT NULL, 
	answer INTEGER NOT NULL, 
	CONSTRAINT pk_question PRIMARY KEY (id), 
	CONSTRAINT ck_question_split CHECK (split IN ('dev', 'test')), 
	CONSTRAINT fk_question_exam_id FOREIGN KEY(exam_id) REFERENCES exam (id), 
	CONSTRAINT uq_question_exam_id_split_position UNIQUE (exam_id, split, position)
);
INSERT INTO "question" VALUES(1,1,'dev',0,0,'56ff1492482b0d13','Question 0 of dev of astronomy: which one? α','["one", "two", "three", "four"]',0);
INSERT INTO "question" VALUES(2,1,'test',0,0,'25a2c86f63abb238','Question 0 of astronomy: which one? α','["one", "two", "three", "four"]',0);
INSERT INTO "question" VALUES(3,1,'test',1,1,'33de7f17f8f2a4ce','Question 1 of astronomy: which one? α','["one", "two", "three", "four"]',1);
INSERT INTO "question" VALUES(4,1,'test',2,2,'14c82eff50cdb54e','Question 2 of astronomy: which one? α','["one", "two", "three", "four"]',2);
INSERT INTO "question" VALUES(5,1,'test',3,3,'f68494af3632b089','Question 3 of astronomy: which one? α','["one", "two", "three", "four"]',3);
INSERT INTO "question" VALUES(6,1,'test',4,4,'47d9efe15ba408d8','Question 4 of astronomy: which one? α','["one", "two", "three", "four"]',0);
INSERT INTO "question" VALUES(7,1,'test',5,5,'2b850130452718da','Question 5 of astronomy: which one? α','["one", "two", "three", "four"]',1);
CREATE TABLE refusal (
	worker VARCHAR NOT NULL, 
	lane VARCHAR NOT NULL, 
	run_id INTEGER NOT NULL, 
	reason VARCHAR NOT NULL, 
	refused_at DATETIME NOT NULL, 
	CONSTRAINT pk_refusal PRIMARY KEY (worker, lane, run_id)
);
CREATE TABLE reply (
	turn_id VARCHAR NOT NULL, 
	conversation_id VARCHAR NOT NULL, 
	lane VARCHAR NOT NULL, 
	model_name VARCHAR NOT NULL, 
	model_source VARCHAR NOT NULL, 
	model_revision VARCHAR NOT NULL, 
	quant VARCHAR NOT NULL, 
	device VARCHAR NOT NULL, 
	dtype VARCHAR NOT NULL, 
	broker VARCHAR NOT NULL, 
	history VARCHAR NOT NULL, 
	sampling JSON NOT NULL, 
	options JSON NOT NULL, 
	status VARCHAR NOT NULL, 
	attempt INTEGER NOT NULL, 
	failures INTEGER NOT NULL, 
	losses INTEGER NOT NULL, 
	worker VARCHAR, 
	lease_until DATETIME, 
	created_at DATETIME NOT NULL, 
	claimed_at DATETIME, 
	ended_at DATETIME, 
	finish VARCHAR, 
	fault VARCHAR, 
	error VARCHAR NOT NULL, 
	traceback VARCHAR NOT NULL, 
	counts JSON, 
	context JSON, 
	options_logprob BLOB NOT NULL, 
	logprobs BLOB NOT NULL, echo BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_reply PRIMARY KEY (turn_id), 
	CONSTRAINT ck_reply_only_running_is_leased CHECK ((status = 'running') = (lease_until IS NOT NULL)), 
	CONSTRAINT ck_reply_status CHECK (status IN ('pending', 'running', 'done', 'failed')), 
	CONSTRAINT fk_reply_conversation_id FOREIGN KEY(conversation_id) REFERENCES conversation (id), 
	CONSTRAINT fk_reply_turn_id FOREIGN KEY(turn_id) REFERENCES turn (id)
);
CREATE TABLE run (
	id INTEGER NOT NULL, 
	sweep_id INTEGER NOT NULL, 
	exam_id INTEGER NOT NULL, 
	lane VARCHAR NOT NULL, 
	model_name VARCHAR NOT NULL, 
	model_source VARCHAR NOT NULL, 
	model_revision VARCHAR NOT NULL, 
	quant VARCHAR NOT NULL, 
	device VARCHAR NOT NULL, 
	dtype VARCHAR NOT NULL, 
	conditions JSON NOT NULL, 
	questions INTEGER NOT NULL, 
	status VARCHAR NOT NULL, 
	attempt INTEGER NOT NULL, 
	failures INTEGER NOT NULL, 
	losses INTEGER NOT NULL, 
	answered INTEGER NOT NULL, 
	correct INTEGER NOT NULL, 
	tied INTEGER NOT NULL, 
	worker VARCHAR, 
	lease_until DATETIME, 
	moved_at DATETIME, 
	started_at DATETIME, 
	ended_at DATETIME, 
	reason VARCHAR NOT NULL, 
	traceback VARCHAR NOT NULL, 
	provenance JSON, 
	measures JSON, needs_bytes BIGINT, correct_norm INTEGER DEFAULT '0' NOT NULL, check_noise BOOLEAN DEFAULT 0 NOT NULL, noise JSON, 
	CONSTRAINT pk_run PRIMARY KEY (id), 
	CONSTRAINT ck_run_only_running_is_leased CHECK ((status = 'running') = (lease_until IS NOT NULL)), 
	CONSTRAINT ck_run_status CHECK (status IN ('pending', 'running', 'done', 'failed', 'cancelled')), 
	CONSTRAINT fk_run_exam_id FOREIGN KEY(exam_id) REFERENCES exam (id), 
	CONSTRAINT fk_run_sweep_id FOREIGN KEY(sweep_id) REFERENCES sweep (id)
);
INSERT INTO "run" VALUES(1,1,1,'cpu/org/a@rev1/none','org/a','hub','rev1','none','cpu','auto','{"shots": 1, "chat_template": false, "limit": 6, "pack_tokens": 2048, "prompt_version": "mmlu-1.0", "scoring": "letters"}',6,'running',1,0,0,3,0,3,'cpu@host:1','2031-05-06 07:08:39.123456','2031-05-06 07:08:09.123456','2031-05-06 07:08:09.123456',NULL,'','','{"dtype": "float32", "attention": "plain", "device_name": "two cores", "host": "host", "versions": {"alembic": "1", "torch": "2.13"}, "notes": ["a note"], "cut_tokens": null, "products": "torch", "template_date": "", "shots": null}',NULL,NULL,0,0,NULL);
INSERT INTO "run" VALUES(2,1,1,'cpu/org/a@rev1/4bit','org/a','hub','rev1','4bit','cpu','auto','{"shots": 1, "chat_template": false, "limit": 6, "pack_tokens": 2048, "prompt_version": "mmlu-1.0", "scoring": "letters"}',6,'done',1,0,0,6,2,0,'cpu@host:1',NULL,'2031-05-06 07:08:09.123456','2031-05-06 07:08:09.123456','2031-05-06 07:08:09.123456','','','{"dtype": "float32", "attention": "plain", "device_name": "two cores", "host": "host", "versions": {"alembic": "1", "torch": "2.13"}, "notes": ["a note"], "cut_tokens": null, "products": "torch", "template_date": "", "shots": null}','{"load": {"wall_s": 0.0, "cpu_s": 0.0, "gpu_s": 0.0}, "score": {"wall_s": 2.0, "cpu_s": 4.0, "gpu_s": 1.0}, "write": {"wall_s": 0.0, "cpu_s": 0.0, "gpu_s": 0.0}, "peak_rss_bytes": 0, "peak_device_bytes": 0, "tokens_computed": 0, "tokens_saved": 0, "tokenize": {"wall_s": 0.0, "cpu_s": 0.0, "gpu_s": 0.0}, "prefix": {"wall_s": 0.0, "cpu_s": 0.0, "gpu_s": 0.0}}',NULL,0,0,NULL);
CREATE TABLE summary (
	id INTEGER NOT NULL, 
	conversation_id VARCHAR NOT NULL, 
	through_id VARCHAR NOT NULL, 
	content VARCHAR NOT NULL, 
	method VARCHAR NOT NULL, 
	source_tokens INTEGER NOT NULL, 
	tokens INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	undone_at DATETIME, 
	CONSTRAINT pk_summary PRIMARY KEY (id), 
	CONSTRAINT fk_summary_conversation_id FOREIGN KEY(conversation_id) REFERENCES conversation (id), 
	CONSTRAINT fk_summary_through_id FOREIGN KEY(through_id) REFERENCES turn (id)
);
CREATE TABLE sweep (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	request JSON NOT NULL, 
	priority INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	submitted_at DATETIME NOT NULL, 
	cancelled_at DATETIME, 
	feed INTEGER NOT NULL, paused_at DATETIME, served_at DATETIME, 
	CONSTRAINT pk_sweep PRIMARY KEY (id)
);
INSERT INTO "sweep" VALUES(1,'interrupted','bb365bd474822d31a2351cd8566c1c6edc62f7448f2223ab0dd764931cceb231','{"models": ["org/a"], "quants": ["none"], "benchmark": "demo", "subjects": ["astronomy"], "device": "auto", "dtype": "auto", "conditions": {"shots": 5, "chat_template": false, "limit": null, "pack_tokens": 2048, "prompt_version": "mmlu-1.0", "scoring": "letters"}, "priority": 0, "name": "interrupted", "check_noise": false}',0,'2031-05-06 07:08:09.123456','2031-05-06 07:08:09.123456',NULL,3,NULL,'2031-05-06 07:08:09.123456');
CREATE TABLE turn (
	id VARCHAR NOT NULL, 
	conversation_id VARCHAR NOT NULL, 
	parent_id VARCHAR, 
	position INTEGER NOT NULL, 
	role VARCHAR NOT NULL, 
	content VARCHAR NOT NULL, 
	token_ids BLOB NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_turn PRIMARY KEY (id), 
	CONSTRAINT ck_turn_role CHECK (role IN ('system', 'user', 'assistant')), 
	CONSTRAINT fk_turn_conversation_id FOREIGN KEY(conversation_id) REFERENCES conversation (id), 
	CONSTRAINT fk_turn_parent_id FOREIGN KEY(parent_id) REFERENCES turn (id)
);
CREATE TABLE worker (
	name VARCHAR NOT NULL, 
	host VARCHAR NOT NULL, 
	device VARCHAR NOT NULL, 
	device_name VARCHAR NOT NULL, 
	memory_bytes BIGINT NOT NULL, 
	lanes JSON NOT NULL, 
	sweep_id INTEGER, 
	held VARCHAR, 
	registered_at DATETIME NOT NULL, 
	seen_at DATETIME NOT NULL, 
	left_at DATETIME, quants JSON, versions JSON, waits_for VARCHAR DEFAULT '' NOT NULL, 
	CONSTRAINT pk_worker PRIMARY KEY (name)
);
INSERT INTO "worker" VALUES('cpu@host:1','host','cpu','two cores',8000000000,'[]',NULL,'cpu/org/a@rev1/none','2031-05-06 07:08:09.123456','2031-05-06 07:08:09.123456',NULL,'["none", "8bit", "4bit"]','{}','');
CREATE INDEX ix_sweep_fingerprint ON sweep (fingerprint);
CREATE INDEX ix_sweep_name ON sweep (name);
CREATE UNIQUE INDEX uq_question_exam_id_content_id ON question (exam_id, content_id) WHERE split = 'test';
CREATE INDEX ix_run_sweep_id ON run (sweep_id);
CREATE INDEX ix_run_status_lane_sweep_id_needs_bytes ON run (status, lane, sweep_id, needs_bytes);
CREATE INDEX ix_conversation_touched_at ON conversation (touched_at);
CREATE INDEX ix_turn_conversation_id ON turn (conversation_id);
CREATE INDEX ix_reply_status_lane_created_at ON reply (status, lane, created_at);
CREATE UNIQUE INDEX uq_reply_one_live ON reply (conversation_id) WHERE status IN ('pending', 'running');
CREATE INDEX ix_summary_conversation_id ON summary (conversation_id);
COMMIT;
