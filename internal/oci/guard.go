package oci

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

// guard refuses addresses no registry has a reason to be at. It looks at the address after name resolution, at the
// moment of dialling, so a name that changes its mind is no way around it.
type guard struct{ allowLoopback, denyPrivate bool }

// privatePrefixes are addresses that only mean something inside a network: private ranges, shared address space, benchmarks,
// protocol assignments, documentation and what is reserved.
var privatePrefixes = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fec0::/10"),
	netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("64:ff9b:1::/48"),
}

// metadataNames lead to a cloud's instance metadata even where a proxy resolves them.
var metadataNames = []string{"metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"}

// metadataPrefixes are instance metadata services outside the link-local range.
var metadataPrefixes = []netip.Prefix{
	netip.MustParsePrefix("fd00:ec2::/32"),      // AWS over IPv6: fd00:ec2::254
	netip.MustParsePrefix("fd20:ce::254/128"),   // Google Cloud over IPv6
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure's wire server
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba Cloud
	netip.MustParsePrefix("192.0.0.192/32"),     // Oracle Cloud's older one
}

// embedding lists IPv6 prefixes that carry an IPv4 address, with the byte it begins at.
var embedding = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64, RFC 6052
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4, RFC 3056
	{netip.MustParsePrefix("::/96"), 12},        // IPv4-compatible, deprecated
}

// checkAddr returns an ErrDenied for a forbidden address.
func (g guard) checkAddr(addr netip.Addr) error {
	addr = addr.WithZone("").Unmap()
	switch {
	case addr.IsLoopback():
		if g.allowLoopback {
			return nil
		}
		return tidewaiter.Errorf(tidewaiter.ErrDenied, "connecting to the loopback address %s is not allowed", addr).
			WithFix("use an address other machines can reach, or start with --allow-loopback-registries")
	case addr.IsUnspecified(), addr.Is4() && addr.As4()[0] == 0:
		return denied("unspecified", addr)
	case addr.IsLinkLocalUnicast():
		return denied("link-local", addr)
	case addr.IsMulticast(), addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return denied("multicast or broadcast", addr)
	}
	for _, p := range metadataPrefixes {
		if p.Contains(addr) {
			return denied("instance metadata", addr)
		}
	}
	for _, e := range embedding {
		if e.prefix.Contains(addr) {
			b := addr.As16()
			return g.checkAddr(netip.AddrFrom4([4]byte(b[e.at : e.at+4])))
		}
	}
	for _, p := range privatePrefixes {
		if g.denyPrivate && p.Contains(addr) {
			return tidewaiter.Errorf(tidewaiter.ErrDenied, "connecting to the private address %s is not allowed", addr).
				WithFix("start with --allow-private-webhooks")
		}
	}
	return nil
}

func denied(what string, addr netip.Addr) error {
	return tidewaiter.Errorf(tidewaiter.ErrDenied, "connecting to the %s address %s is not allowed", what, addr)
}

// checkHost judges what can be judged before resolving: literal addresses and well-known names.
func (g guard) checkHost(host string) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		return g.checkAddr(addr)
	}
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if slices.Contains(metadataNames, name) {
		return tidewaiter.Errorf(tidewaiter.ErrDenied, "connecting to the instance metadata service %s is not allowed", name)
	}
	return nil
}

// control is a net.Dialer's ControlContext: address is already resolved.
func (g guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return tidewaiter.Errorf(tidewaiter.ErrDenied, "connecting to %q is not allowed", address)
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return tidewaiter.Errorf(tidewaiter.ErrDenied, "connecting to %q is not allowed", address)
	}
	return g.checkAddr(addr)
}
