package postgres_test

import (
	"net/url"
	"strings"
	"testing"
)

// with changes a URL.
func with(t testing.TB, address string, change func(u *url.URL)) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}

func asUser(t testing.TB, address, user, password string) string {
	t.Helper()
	return with(t, address, func(u *url.URL) { u.User = url.UserPassword(user, password) })
}

// parameter sets one of a URL's parameters.
func parameter(t testing.TB, address, name, value string) string {
	t.Helper()
	return with(t, address, func(u *url.URL) {
		q := u.Query()
		q.Set(name, value)
		u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	})
}
