# What `plakar pkg build` calls: leaves what `manifest.yaml` names. For people there is `./just`.
.PHONY: build
build:
	./just build
