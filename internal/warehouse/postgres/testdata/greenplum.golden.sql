-- a table as the database has them
CREATE TABLE "geolife"."walks" ("tdate" date, "uid" text, "at" timestamp);

-- by columns, spread by the user
CREATE TABLE "geolife"."walks" ("tdate" date, "uid" text, "at" timestamp) WITH (appendonly=true, orientation=column, compresstype=zstd, compresslevel=1) DISTRIBUTED BY ("uid", "Odd");

-- by rows, spread at random; indexes are PostgreSQL's
CREATE TABLE "geolife"."walks" ("tdate" date, "uid" text, "at" timestamp) WITH (appendonly=true, compresstype=zstd, compresslevel=1) DISTRIBUTED RANDOMLY;

-- a heap, cut by days
CREATE TABLE "geolife"."walks" ("tdate" date, "uid" text, "at" timestamp) PARTITION BY RANGE ("tdate") (PARTITION "p20070412" START (date '2007-04-12') INCLUSIVE END (date '2007-04-13') EXCLUSIVE);

-- cut by months, columns and user
CREATE TABLE "geolife"."walks" ("tdate" date, "uid" text, "at" timestamp) WITH (appendonly=true, orientation=column, compresstype=zstd, compresslevel=1) DISTRIBUTED BY ("uid") PARTITION BY RANGE ("tdate") (PARTITION "p20070401" START (date '2007-04-01') INCLUSIVE END (date '2007-05-01') EXCLUSIVE);

-- cut by moments
CREATE TABLE "geolife"."walks" ("tdate" date, "uid" text, "at" timestamp) PARTITION BY RANGE ("at") (PARTITION "p20070412" START (timestamp '2007-04-12 00:00:00') INCLUSIVE END (timestamp '2007-04-13 00:00:00') EXCLUSIVE);

-- exchange of a day that is there
CREATE TABLE "geolife"."damson_stage_35f58998da2b" (LIKE "geolife"."walks") WITH (appendonly=true, orientation=column, compresstype=zstd, compresslevel=1);
ANALYZE "geolife"."damson_stage_35f58998da2b";
SAVEPOINT damson_exchange;
LOCK TABLE "geolife"."walks" IN ACCESS EXCLUSIVE MODE NOWAIT;
ALTER TABLE "geolife"."walks" EXCHANGE PARTITION FOR (date '2007-04-12') WITH TABLE "geolife"."damson_stage_35f58998da2b";
DROP TABLE "geolife"."damson_stage_35f58998da2b";

-- exchange of a day that is not there yet
CREATE TABLE "geolife"."damson_stage_35f58998da2b" (LIKE "geolife"."walks") WITH (appendonly=true, orientation=column, compresstype=zstd, compresslevel=1);
ANALYZE "geolife"."damson_stage_35f58998da2b";
SAVEPOINT damson_exchange;
LOCK TABLE "geolife"."walks" IN ACCESS EXCLUSIVE MODE NOWAIT;
ALTER TABLE "geolife"."walks" ADD PARTITION "p20070412" START (date '2007-04-12') INCLUSIVE END (date '2007-04-13') EXCLUSIVE;
ALTER TABLE "geolife"."walks" EXCHANGE PARTITION FOR (date '2007-04-12') WITH TABLE "geolife"."damson_stage_35f58998da2b";
DROP TABLE "geolife"."damson_stage_35f58998da2b";

-- exchange of a day of a table with lists of dates
CREATE TABLE "geolife"."damson_stage_35f58998da2b" (LIKE "geolife"."walks") WITH (appendonly=true, orientation=column, compresstype=zstd, compresslevel=1);
ANALYZE "geolife"."damson_stage_35f58998da2b";
SAVEPOINT damson_exchange;
LOCK TABLE "geolife"."walks" IN ACCESS EXCLUSIVE MODE NOWAIT;
ALTER TABLE "geolife"."walks" EXCHANGE PARTITION FOR (date '2007-04-12') WITH TABLE "geolife"."damson_stage_35f58998da2b";
DROP TABLE "geolife"."damson_stage_35f58998da2b";

-- exchange of a month
CREATE TABLE "geolife"."damson_stage_f7dd35cbec91" (LIKE "geolife"."walks") WITH (appendonly=true, orientation=column, compresstype=zstd, compresslevel=1);
ANALYZE "geolife"."damson_stage_f7dd35cbec91";
SAVEPOINT damson_exchange;
LOCK TABLE "geolife"."walks" IN ACCESS EXCLUSIVE MODE NOWAIT;
ALTER TABLE "geolife"."walks" EXCHANGE PARTITION FOR (date '2007-04-01') WITH TABLE "geolife"."damson_stage_f7dd35cbec91";
DROP TABLE "geolife"."damson_stage_f7dd35cbec91";

-- exchange of a day of moments
CREATE TABLE "geolife"."damson_stage_18ddc3597a49" (LIKE "geolife"."walks") WITH (appendonly=true, orientation=column, compresstype=zstd, compresslevel=1);
ANALYZE "geolife"."damson_stage_18ddc3597a49";
SAVEPOINT damson_exchange;
LOCK TABLE "geolife"."walks" IN ACCESS EXCLUSIVE MODE NOWAIT;
ALTER TABLE "geolife"."walks" EXCHANGE PARTITION FOR (timestamp '2007-04-12 00:00:00') WITH TABLE "geolife"."damson_stage_18ddc3597a49";
DROP TABLE "geolife"."damson_stage_18ddc3597a49";

-- exchange of a day while somebody uses the table
CREATE TABLE "geolife"."damson_stage_35f58998da2b" (LIKE "geolife"."walks") WITH (appendonly=true, orientation=column, compresstype=zstd, compresslevel=1);
ANALYZE "geolife"."damson_stage_35f58998da2b";
SAVEPOINT damson_exchange;
LOCK TABLE "geolife"."walks" IN ACCESS EXCLUSIVE MODE NOWAIT;
ROLLBACK TO SAVEPOINT damson_exchange;

-- a new list of dates
ALTER TABLE "geolife"."walks" ADD PARTITION "p20070412" VALUES (date '2007-04-12');

