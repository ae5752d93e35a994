// Package api serves Kaiwa over HTTP: LINE's webhook, the REST API, health and
// metrics. openapi.yaml is the source of truth: the types and the binding of
// handlers are generated from it, requests are validated against it, and tests
// hold responses against it.
package api

//go:generate go tool oapi-codegen -config oapi-codegen.yaml openapi.yaml
