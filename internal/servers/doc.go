// Package servers holds servers.sh, which runs real servers for integration
// tests, and the test that cross-checks what people deploy with:
// docker-compose.yml and Dockerfile against configs/demo and the settings that
// the pipeline insists on. There is no Docker engine where the tests run, so
// everything that can be compared is compared: images, health checks, ports,
// variables, users, topics and their settings.
package servers
