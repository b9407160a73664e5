// Package oidctest holds package auth against an OpenID provider that nobody here
// wrote, github.com/zitadel/oidc. It is a module of its own, so that the product
// does not depend on it.
package oidctest
