.DEFAULT_GOAL := help
.PHONY: help gen

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1	/' | expand -t 12

gen: ## regenerate api/gen from api/proto
	@scripts/gen.sh
