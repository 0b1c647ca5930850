#!/bin/bash
# Builds the documentation of every module, the catalogue among them. A warning is an error.
set -euo pipefail
cd "$(dirname "$0")/../.."
targets=()
for module in Sources/*/; do
    # Module maps and the build plugin have none.
    [ -e "$module/module.modulemap" ] || [ -e "$module/plugin.swift" ] || targets+=(--target "$(basename "$module")")
done
exec swift package generate-documentation "${targets[@]}" --warnings-as-errors
