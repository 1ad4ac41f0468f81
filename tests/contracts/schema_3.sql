BEGIN TRANSACTION;
CREATE TABLE answers (request TEXT PRIMARY KEY, pos INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE calibration (provider TEXT, model TEXT, bytes INTEGER NOT NULL, tokens INTEGER NOT NULL, PRIMARY KEY (provider, model)) WITHOUT ROWID;
CREATE TABLE circuits (name TEXT PRIMARY KEY, failures INTEGER NOT NULL, since_ms INTEGER NOT NULL, opens_ms INTEGER NOT NULL, probe_until_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE credit_moves (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, account TEXT NOT NULL, amount INTEGER NOT NULL, balance INTEGER NOT NULL, task INTEGER, reason TEXT NOT NULL);
CREATE TABLE credits (account TEXT PRIMARY KEY, balance INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE "events" (
   "pos" INTEGER PRIMARY KEY,
   "kind" TEXT NOT NULL,
   "at_ms" INTEGER NOT NULL,
   "body" TEXT NOT NULL
);
INSERT INTO "events" VALUES(4294967296,'TaskCreated',1790000000000,'{"goal":"Count the files","system":"Be brief.","provider":"anthropic","model":"claude-sonnet-5.5","cwd":"/home/me/notes","limits":{},"name":"count","options":{"base_url":"https://api.anthropic.com"}}');
INSERT INTO "events" VALUES(4294967297,'Resumed',1790000000010,'{"pid":4711}');
INSERT INTO "events" VALUES(4294967298,'ModelAsked',1790000000020,'{"call":1,"provider":"anthropic","model":"claude-sonnet-5.5","reserve_micros":5000,"reserve_tokens":1500,"output_cap":400}');
INSERT INTO "events" VALUES(4294967299,'ModelAnswered',1790000001000,'{"message":{"role":"assistant","text":"I look.","calls":[{"id":"toolu_1","name":"list_dir","arguments":"{\"path\":\".\"}"}]},"usage":{"input":1000,"cache_write":800,"output":40},"stop":"tools","cost_micros":2800,"duration_ms":900,"prices":"{\"cache_read\":100000,\"cache_write\":2500000,\"input\":2000000,\"output\":10000000,\"source\":\"genai-prices 0.1\"}","response_id":"msg_1"}');
INSERT INTO "events" VALUES(4294967300,'ToolStarted',1790000001000,'{"call_id":"toolu_1","tool":"list_dir","repeat":"safe"}');
INSERT INTO "events" VALUES(4294967301,'ToolEnded',1790000001010,'{"call_id":"toolu_1","tool":"list_dir","text":"a\nb\nc","duration_ms":3}');
INSERT INTO "events" VALUES(4294967302,'ModelAsked',1790000001010,'{"call":2,"provider":"anthropic","model":"claude-sonnet-5.5","reserve_micros":5000,"reserve_tokens":1500,"output_cap":400}');
INSERT INTO "events" VALUES(4294967303,'ModelFailed',1790000002000,'{"reason":"overloaded","detail":"529","retriable":true,"retry_at_ms":1790000003000}');
INSERT INTO "events" VALUES(4294967304,'ModelAsked',1790000003000,'{"call":3,"provider":"anthropic","model":"claude-sonnet-5.5","reserve_micros":5000,"reserve_tokens":1500,"output_cap":400}');
INSERT INTO "events" VALUES(4294967305,'ModelAnswered',1790000004000,'{"message":{"role":"assistant","text":"Three files."},"usage":{"input":1060,"cache_read":1000,"output":12},"stop":"end","cost_micros":340,"duration_ms":500,"response_id":"msg_2"}');
INSERT INTO "events" VALUES(4294967306,'Finished',1790000004000,'{"outcome":"done","text":"Three files."}');
INSERT INTO "events" VALUES(8589934592,'TaskCreated',1790003600000,'{"goal":"Tidy up","system":"Be brief.","provider":"openai","model":"gpt-6.1-terra","cwd":"/home/me/code","limits":{"task_cost_micros":1000000}}');
INSERT INTO "events" VALUES(8589934593,'Resumed',1790003600010,'{"pid":4712}');
INSERT INTO "events" VALUES(8589934594,'ModelAsked',1790003600020,'{"call":1,"provider":"openai","model":"gpt-6.1-terra","reserve_micros":8000,"reserve_tokens":1500,"output_cap":400}');
INSERT INTO "events" VALUES(8589934595,'ModelFailed',1790003601000,'{"reason":"cut","detail":"the stream was cut","retriable":true,"charged_micros":8000,"charged_tokens":1500,"retry_at_ms":1790003602000}');
INSERT INTO "events" VALUES(8589934596,'ModelAsked',1790003602000,'{"call":2,"provider":"openai","model":"gpt-6.1-terra","reserve_micros":8000,"reserve_tokens":1500,"output_cap":400}');
CREATE TABLE lookups (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, pos INTEGER NOT NULL, at_ms INTEGER NOT NULL, proof TEXT NOT NULL, bytes INTEGER NOT NULL);
CREATE TABLE "offers" (
   "id" INTEGER PRIMARY KEY,
   "provider" TEXT NOT NULL,
   "model" TEXT NOT NULL,
   "prices" TEXT NOT NULL
);
INSERT INTO "offers" VALUES(1,'anthropic','claude-sonnet-5.5','');
INSERT INTO "offers" VALUES(2,'anthropic','claude-sonnet-5.5','{"cache_read":100000,"cache_write":2500000,"input":2000000,"output":10000000,"source":"genai-prices 0.1"}');
INSERT INTO "offers" VALUES(3,'openai','gpt-6.1-terra','');
CREATE TABLE "outputs" (
   "ref" TEXT PRIMARY KEY,
   "text" TEXT NOT NULL
);
CREATE TABLE paces (account TEXT, category TEXT, at_ms INTEGER, calls INTEGER NOT NULL, PRIMARY KEY (account, category, at_ms)) WITHOUT ROWID;
CREATE TABLE permissions (id INTEGER PRIMARY KEY, cwd TEXT NOT NULL, rule TEXT NOT NULL, at_ms INTEGER NOT NULL, task INTEGER NOT NULL, UNIQUE (cwd, rule));
INSERT INTO "permissions" VALUES(1,'/home/me/notes','run_shell: git status',1790000002000,1);
CREATE TABLE pruned (call INTEGER PRIMARY KEY, quarter INTEGER NOT NULL, task INTEGER NOT NULL, offer INTEGER NOT NULL, saved_micros INTEGER NOT NULL);
CREATE TABLE "spend" (
   "minute" INTEGER PRIMARY KEY,
   "micros" INTEGER NOT NULL
);
INSERT INTO "spend" VALUES(29833333,3140);
INSERT INTO "spend" VALUES(29833393,16000);
CREATE TABLE spend_hours (hour INTEGER PRIMARY KEY, micros INTEGER NOT NULL);
INSERT INTO "spend_hours" VALUES(497222,3140);
INSERT INTO "spend_hours" VALUES(497223,16000);
CREATE TABLE sums (quarter INTEGER, task INTEGER, offer INTEGER, calls INTEGER NOT NULL, unpriced INTEGER NOT NULL, input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL, output INTEGER NOT NULL, cost_micros INTEGER NOT NULL, estimated INTEGER NOT NULL, unsettled_micros INTEGER NOT NULL, PRIMARY KEY (quarter, task, offer)) WITHOUT ROWID;
INSERT INTO "sums" VALUES(1988888,1,1,1,0,0,0,0,0,0,0,0);
INSERT INTO "sums" VALUES(1988888,1,2,2,0,2060,1000,800,52,3140,0,0);
INSERT INTO "sums" VALUES(1988892,2,3,1,0,0,0,0,0,0,0,8000);
CREATE TABLE "tasks" (
   "no" INTEGER PRIMARY KEY,
   "id" TEXT NOT NULL,
   "name" TEXT,
   "goal" TEXT NOT NULL,
   "status" TEXT NOT NULL,
   "cwd" TEXT,
   "provider" TEXT,
   "model" TEXT,
   "created_ms" INTEGER,
   "updated_ms" INTEGER,
   "steps" INTEGER NOT NULL,
   "cost_micros" INTEGER NOT NULL,
   "unpriced" INTEGER,
   "tokens_processed" INTEGER,
   "tokens_total" INTEGER,
   "pid" INTEGER,
   "wake_ms" INTEGER,
   "limit_micros" INTEGER
, account TEXT NOT NULL DEFAULT 'default', active_ms INTEGER NOT NULL DEFAULT 0, resumed_ms INTEGER NOT NULL DEFAULT 0);
INSERT INTO "tasks" VALUES(1,'1aaaaaaa','count','Count the files','done','/home/me/notes','anthropic','claude-sonnet-5.5',1790000000000,1790000004000,2,3140,0,1112,2112,4711,0,500000,'default',0,0);
INSERT INTO "tasks" VALUES(2,'1bbbbbbb','','Tidy up','running','/home/me/code','openai','gpt-6.1-terra',1790003600000,1790003601000,0,8000,0,1500,1500,4712,0,1000000,'default',0,0);
CREATE TABLE "usage" (
   "id" INTEGER PRIMARY KEY,
   "task" INTEGER NOT NULL,
   "call" INTEGER NOT NULL,
   "at_ms" INTEGER NOT NULL,
   "offer" INTEGER NOT NULL,
   "purpose" TEXT,
   "state" TEXT NOT NULL,
   "input" INTEGER,
   "cache_read" INTEGER,
   "cache_write" INTEGER,
   "output" INTEGER,
   "reasoning" INTEGER,
   "reserve_micros" INTEGER,
   "cost_micros" INTEGER,
   "response_id" TEXT
);
INSERT INTO "usage" VALUES(1,1,1,1790000000020,2,'step','settled',1000,0,800,40,0,5000,2800,'msg_1');
INSERT INTO "usage" VALUES(2,1,2,1790000001010,1,'step','free',0,0,0,0,0,5000,0,'');
INSERT INTO "usage" VALUES(3,1,3,1790000003000,2,'step','settled',1060,1000,0,12,0,5000,340,'msg_2');
INSERT INTO "usage" VALUES(4,2,1,1790003600020,3,'step','unsettled',0,0,0,0,0,8000,8000,'');
INSERT INTO "usage" VALUES(5,2,2,1790003602000,3,'step','open',0,0,0,0,0,8000,8000,'');
CREATE TABLE violations (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, task INTEGER NOT NULL, guard TEXT NOT NULL, name TEXT NOT NULL, used INTEGER NOT NULL, cap INTEGER NOT NULL, need INTEGER NOT NULL, unit TEXT NOT NULL, tool TEXT NOT NULL);
CREATE UNIQUE INDEX "idx_tasks_id"
    ON "tasks" ("id");
CREATE UNIQUE INDEX "idx_offers_provider_model_prices"
    ON "offers" ("provider", "model", "prices");
CREATE VIEW "event_log" AS select tasks.id as task_id, pos & 4294967295 as seq, kind, at_ms, body from events join tasks on tasks.no = pos >> 32;
CREATE INDEX usage_task ON usage (task);
CREATE INDEX usage_open ON usage (task) WHERE state = 'open';
CREATE TRIGGER usage_settled AFTER UPDATE ON usage WHEN OLD.state = 'open' AND NEW.state <> 'open' BEGIN INSERT INTO sums VALUES (NEW.at_ms / 900000, NEW.task, NEW.offer, 1, NEW.cost_micros IS NULL, NEW.input, NEW.cache_read, NEW.cache_write, NEW.output, CASE WHEN NEW.state = 'unsettled' THEN 0 ELSE coalesce(NEW.cost_micros, 0) END, NEW.state = 'estimated', CASE WHEN NEW.state = 'unsettled' THEN coalesce(NEW.cost_micros, 0) ELSE 0 END) ON CONFLICT DO UPDATE SET calls = calls + 1, unpriced = unpriced + excluded.unpriced, input = input + excluded.input, cache_read = cache_read + excluded.cache_read, cache_write = cache_write + excluded.cache_write, output = output + excluded.output, cost_micros = cost_micros + excluded.cost_micros, estimated = estimated + excluded.estimated, unsettled_micros = unsettled_micros + excluded.unsettled_micros; END;
CREATE TRIGGER spend_insert AFTER INSERT ON spend BEGIN INSERT INTO spend_hours VALUES (NEW.minute / 60, NEW.micros) ON CONFLICT (hour) DO UPDATE SET micros = micros + excluded.micros; END;
CREATE TRIGGER spend_update AFTER UPDATE ON spend BEGIN INSERT INTO spend_hours VALUES (NEW.minute / 60, NEW.micros - OLD.micros) ON CONFLICT (hour) DO UPDATE SET micros = micros + excluded.micros; END;
CREATE TRIGGER spend_delete AFTER DELETE ON spend BEGIN INSERT INTO spend_hours VALUES (OLD.minute / 60, -OLD.micros) ON CONFLICT (hour) DO UPDATE SET micros = micros + excluded.micros; END;
COMMIT;
PRAGMA user_version = 3;
