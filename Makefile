.DEFAULT_GOAL := help
.PHONY: help build demo run test test-all bench lint gen sim fuzz clone-test cassandra cassandra-stop cluster cluster-stop trials

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1	/' | expand -t 12

build: ## bin/paceline, with the page in it
	@scripts/build.sh

demo: build ## a whole race, live: DATA=folder SPEED=n ONCE=1 KILL=1 PORT=n STORE=cql NODES=3
	@DATA='$(DATA)' SPEED='$(SPEED)' ONCE='$(ONCE)' KILL='$(KILL)' PORT='$(PORT)' STORE='$(STORE)' NODES='$(or $(NODES),1)' scripts/demo.sh

run: build ## a node on the embedded store: ARGS='--help' for its flags
	@bin/paceline run $(ARGS)

test: ## everything that must hold, in under 20 minutes
	@scripts/test.sh

test-all: ## test, then 20 rounds of killing replicas, 5,000 seeds, fuzzing and lint
	@ROUNDS='$(or $(ROUNDS),20)' scripts/test-all.sh

bench: ## the hot paths beside their bare baselines: ROUNDS=n, or BENCH=regexp for any
	@ROUNDS='$(ROUNDS)' BENCH='$(BENCH)' scripts/bench.sh

lint: ## vet, gofmt, house rules, golangci-lint, buf, regenerated code
	@scripts/lint.sh

gen: ## api/gen from api/proto
	@scripts/gen.sh

sim: ## one seed of the simulated world again: SEED=n
	@SEED='$(SEED)' scripts/sim.sh

fuzz: ## every fuzz target for FUZZTIME (30s)
	@scripts/fuzz.sh

clone-test: ## test and demo in a fresh clone of what is committed
	@scripts/fresh-clone.sh

cassandra: ## a real Apache Cassandra on 127.0.0.1:9042: NODES=3 for a ring on 127.0.0.1, .2 and .3
	@NODES='$(or $(NODES),1)' scripts/cassandra.sh start

cassandra-stop: ## stops what make cassandra started; its data stays in bin/cassandra
	@scripts/cassandra.sh stop

cluster: build ## three nodes on loopback that are one cluster, on the Cassandra of make cassandra (or PACELINE_CQL_HOSTS): NODES=n
	@NODES='$(or $(NODES),3)' scripts/cluster.sh start

cluster-stop: ## stops what make cluster started; keys and data stay in bin/cluster and the keyspace
	@scripts/cluster.sh stop

trials: build ## races on three nodes that are killed, stopped, cut off, restarted and joined, with a report: TRIAL=regexp for some, SIZE=300x100
	@TRIAL='$(TRIAL)' SIZE='$(SIZE)' scripts/trials.sh
