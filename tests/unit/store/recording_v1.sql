-- A recording of format 1 as it was first written: what a later memcrest must still read.
PRAGMA application_id = 1296257585; PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE answers (seq INTEGER PRIMARY KEY, question TEXT NOT NULL, answer TEXT NOT NULL);
INSERT INTO "answers" VALUES(65,'container of cgroup 1057322','{"known":true,"cgroup":{"id":1057322,"path":"/service/a"},"container":{"runtime":"none"}}');
INSERT INTO "answers" VALUES(106,'container of cgroup 1059533','{"known":true,"cgroup":{"id":1059533,"path":"/service/a/memcrest-run-12402-0"},"container":{"runtime":"none"}}');
CREATE TABLE cgroups (
  id INTEGER PRIMARY KEY, cgroup_id INTEGER NOT NULL, serial INTEGER NOT NULL, path TEXT, created_ns INTEGER,
  removed_ns INTEGER, container INTEGER REFERENCES containers (id));
INSERT INTO "cgroups" VALUES(118,1059533,153071,'/a/memcrest-run-1-0',NULL,NULL,NULL);
CREATE TABLE clock (seq INTEGER PRIMARY KEY, boot_ns INTEGER NOT NULL, unix_ns INTEGER NOT NULL);
INSERT INTO "clock" VALUES(0,28567913424892,1795730126887969912);
INSERT INTO "clock" VALUES(40,28567930850457,1795730126905395577);
CREATE TABLE containers (
  id INTEGER PRIMARY KEY, runtime TEXT NOT NULL, container_id TEXT, name TEXT, image TEXT, pod TEXT, namespace TEXT,
  json TEXT NOT NULL);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY, boot_ns INTEGER NOT NULL, kind TEXT NOT NULL, cgroup_id INTEGER, pid INTEGER,
  json TEXT NOT NULL);
CREATE TABLE incidents (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL, "update" TEXT, boot_ns INTEGER NOT NULL, unix_ns INTEGER NOT NULL,
  kind TEXT NOT NULL, container_id TEXT, container_name TEXT, image TEXT, cgroup_path TEXT, json TEXT NOT NULL);
INSERT INTO "incidents" VALUES(142,'a61e4a21-19fb7c4509e0-102acd-0',NULL,28568003637442,1795730126978182563,'burst',NULL,NULL,NULL,'/service/a/memcrest-run-12402-0','{"schema":"memcrest.incident.v1","kind":"burst","id":"a61e4a21-19fb7c4509e0-102acd-0","update":null,"time":"2026-11-26T21:55:26.978182563Z","boot_time_ns":28568003637442,"host":{"name":"node1","kernel":"6.1.0-18-amd64","boot_id":"00000000-0000-4000-8000-000000000001"},"container":{"runtime":"none","id":null,"name":null,"image":null,"labels":{},"unknown_reason":null,"init_pid":null,"runtime_namespace":null,"unit":null,"machine":null,"pod":null,"compose":null,"ecs":null,"memory_request_bytes":null,"memory_limit_bytes":null,"swap_limit_bytes":null,"state":null,"outer":[]},"cgroup":{"id":1059533,"path":"/service/a/memcrest-run-12402-0"},"scope":"memcg","limit":{"bytes":null,"kind":"memory.limit_in_bytes","cgroup_path":"/service/a/memcrest-run-12402-0"},"usage_bytes":null,"peak_bytes":34856960,"trigger":null,"victims":[],"burst":{"start":"2026-11-26T21:55:26.886930113Z","duration_ms":87.84443,"base_bytes":262144,"peak_bytes":34856960,"growth_bytes":34594816,"slope_bytes_per_s":393819118.63962233,"contributors":[{"pid":12443,"comm":"hog","bytes":32497664,"share":0.9687423687423687}],"peak_exact":true,"page_cache_bytes":0,"above_half_ms":46.588389,"end":"fell","end_uncertainty_ms":3.40802,"shape":[262144,262144,262144,2351104,2351104,2351104,2351104,2351104,2351104,17817600,17817600,17817600,17817600,27516928,31711232,1323008]},"samplers":[{"name":"docker stats","interval_ms":1000,"typical_seen_bytes":262144,"chance_seen":0.046588389},{"name":"cAdvisor","interval_ms":10000,"typical_seen_bytes":262144,"chance_seen":0.0046588389},{"name":"metrics-server","interval_ms":15000,"typical_seen_bytes":262144,"chance_seen":0.0031058926}],"oom":null,"reclaim":null,"swap":null,"ranking":null,"stuck":null,"charge_failure":null,"memory_stat":null,"evidence":{"charge_tier":"lru+state","oom_tier":"mark_victim+kmsg","lost_critical":0,"lost_bulk":0,"complete":true,"gaps":[]}}');
CREATE TABLE loss (
  seq INTEGER PRIMARY KEY, boot_ns INTEGER NOT NULL, critical INTEGER NOT NULL, bulk INTEGER NOT NULL, throttled INTEGER NOT NULL,
  invalid INTEGER NOT NULL, untracked INTEGER NOT NULL, unrecorded INTEGER NOT NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO "meta" VALUES('boot_id','00000000-0000-4000-8000-000000000001');
INSERT INTO "meta" VALUES('charge_tier','lru+state');
INSERT INTO "meta" VALUES('ended','whole');
INSERT INTO "meta" VALUES('filter','--cgroup /service/a/memcrest-run-12402-0');
INSERT INTO "meta" VALUES('host_name','node1');
INSERT INTO "meta" VALUES('kernel','6.1.0-18-amd64');
INSERT INTO "meta" VALUES('memcrest_version','0.1.0');
INSERT INTO "meta" VALUES('oom_tier','mark_victim+kmsg');
INSERT INTO "meta" VALUES('settings','{"files":{"version":1,"limit":"memory.limit_in_bytes","peak":"memory.max_usage_in_bytes","swap_limit":"memory.memsw.limit_in_bytes"},"bursts":{"window_ns":1000000000,"max_cgroups":16384},"ooms":{"settle_ns":30000000,"group_settle_ns":50000000,"log_wait_ns":80000000,"group_log_wait_ns":180000000,"host_log_wait_ns":1000000000,"memsw":true,"page_size":4096},"charge_tier":"lru+state","oom_tier":"mark_victim+kmsg","host":{"name":"node1","kernel":"6.1.0-18-amd64","boot_id":"00000000-0000-4000-8000-000000000001"},"host_memory_bytes":25276063744,"identity_wait_ns":2500000000,"stalls_are_seen":true}');
CREATE TABLE samples (
  seq INTEGER PRIMARY KEY, boot_ns INTEGER NOT NULL, cgroup_id INTEGER NOT NULL, usage_bytes INTEGER NOT NULL);
INSERT INTO "samples" VALUES(41,28567956918969,1055969,996286464);
INSERT INTO "samples" VALUES(42,28567957049053,1059533,17817600);
CREATE TABLE stacks (
  id INTEGER PRIMARY KEY, caller INTEGER REFERENCES stacks (id), address INTEGER NOT NULL);
INSERT INTO "stacks" VALUES(5,NULL,-2130706128);
INSERT INTO "stacks" VALUES(6,5,-2111461695);
INSERT INTO "stacks" VALUES(30,NULL,-2130703230);
INSERT INTO "stacks" VALUES(31,30,-2111438202);
INSERT INTO "stacks" VALUES(32,31,-2124392480);
INSERT INTO "stacks" VALUES(62,32,-2124394012);
INSERT INTO "stacks" VALUES(63,62,-2124403501);
INSERT INTO "stacks" VALUES(64,63,-2124708717);
INSERT INTO "stacks" VALUES(65,64,-2124709001);
INSERT INTO "stacks" VALUES(66,65,-2124713769);
INSERT INTO "stacks" VALUES(67,66,-2125684658);
INSERT INTO "stacks" VALUES(68,67,-1073739720);
INSERT INTO "stacks" VALUES(69,68,-1073731194);
INSERT INTO "stacks" VALUES(120,NULL,140453884805706);
INSERT INTO "stacks" VALUES(121,120,94210303166270);
INSERT INTO "stacks" VALUES(122,121,94210303165549);
INSERT INTO "stacks" VALUES(123,122,94210304210752);
INSERT INTO "stacks" VALUES(124,123,94210304347229);
INSERT INTO "stacks" VALUES(125,124,94210304343186);
INSERT INTO "stacks" VALUES(126,125,94210304342244);
INSERT INTO "stacks" VALUES(127,126,140453885516503);
INSERT INTO "stacks" VALUES(128,6,-2123483164);
INSERT INTO "stacks" VALUES(129,128,-2123487747);
INSERT INTO "stacks" VALUES(130,129,-2123490672);
INSERT INTO "stacks" VALUES(131,130,-2123491315);
INSERT INTO "stacks" VALUES(132,131,-2123432746);
INSERT INTO "stacks" VALUES(133,132,-2123437808);
INSERT INTO "stacks" VALUES(134,133,-2123526468);
INSERT INTO "stacks" VALUES(135,134,-2124084627);
INSERT INTO "stacks" VALUES(136,135,-2123706559);
INSERT INTO "stacks" VALUES(137,136,-2123708597);
INSERT INTO "stacks" VALUES(138,137,-2123708964);
INSERT INTO "stacks" VALUES(139,138,-2123722525);
INSERT INTO "stacks" VALUES(140,139,-2125683704);
INSERT INTO "stacks" VALUES(141,140,-1073739264);
INSERT INTO "stacks" VALUES(142,141,-1073718110);
INSERT INTO "stacks" VALUES(160,NULL,0);
INSERT INTO "stacks" VALUES(161,160,33554432);
INSERT INTO "stacks" VALUES(162,161,4203278);
CREATE TABLE steps (
  seq INTEGER PRIMARY KEY, boot_ns INTEGER NOT NULL, cgroup INTEGER NOT NULL REFERENCES cgroups (id),
  usage_bytes INTEGER NOT NULL, direction INTEGER NOT NULL, task INTEGER NOT NULL REFERENCES tasks (id),
  user_stack INTEGER REFERENCES stacks (id), kernel_stack INTEGER REFERENCES stacks (id),
  watermark_bytes INTEGER NOT NULL, limit_bytes INTEGER, quantum_bytes INTEGER NOT NULL, ancestor INTEGER NOT NULL,
  "foreign" INTEGER NOT NULL, page_cache INTEGER NOT NULL, suppressed INTEGER NOT NULL, oom_events INTEGER NOT NULL,
  reclaim_ns INTEGER NOT NULL, throttle_ns INTEGER NOT NULL);
INSERT INTO "steps" VALUES(26,28567908154449,118,262144,0,119,127,142,262144,NULL,1048576,0,0,0,0,0,0,0);
INSERT INTO "steps" VALUES(38,28567912384992,118,1302528,1,159,162,69,1302528,NULL,1048576,0,0,0,0,0,0,0);
INSERT INTO "steps" VALUES(39,28567913034590,118,2351104,1,159,162,69,2351104,NULL,1048576,0,0,0,0,0,0,0);
INSERT INTO "steps" VALUES(45,28567916420679,118,3399680,1,159,162,69,3399680,NULL,1048576,0,0,0,0,0,0,0);
CREATE TABLE tasks (
  id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, start_ns INTEGER NOT NULL, tid INTEGER NOT NULL, ns_pid INTEGER NOT NULL,
  uid INTEGER NOT NULL, cgroup_id INTEGER NOT NULL, comm, thread_comm);
INSERT INTO "tasks" VALUES(119,12443,28567873425397,12443,12443,0,1059533,'memcrest','memcrest');
INSERT INTO "tasks" VALUES(159,12443,28567873425397,12443,12443,0,1059533,'hog','hog');
COMMIT;
