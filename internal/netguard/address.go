package netguard

import "net/netip"

// What a public address is not, by IANA's registries of special-purpose
// addresses (RFC 6890), with the metadata service of Azure, which stands on a
// public one. The others' are link-local, private or shared addresses.
var (
	special4 = prefixes(
		"0.0.0.0/8",        // this network
		"10.0.0.0/8",       // private
		"100.64.0.0/10",    // carrier-grade NAT; Alibaba's metadata
		"127.0.0.0/8",      // loopback
		"168.63.129.16/32", // Azure's metadata
		"169.254.0.0/16",   // link-local; the metadata of most clouds
		"172.16.0.0/12",    // private
		"192.0.0.0/24",     // protocol assignments; Oracle's metadata
		"192.0.2.0/24",     // documentation
		"192.88.99.0/24",   // 6to4 relays
		"192.168.0.0/16",   // private
		"198.18.0.0/15",    // benchmarks
		"198.51.100.0/24",  // documentation
		"203.0.113.0/24",   // documentation
		"224.0.0.0/4",      // multicast
		"240.0.0.0/4",      // reserved; broadcast
	)

	// Only this is handed out as global unicast. Outside are loopback,
	// unspecified, IPv4-mapped, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), unique
	// local, link-local and multicast.
	global6  = netip.MustParsePrefix("2000::/3")
	special6 = prefixes(
		"2001::/23",     // protocol assignments; Teredo carries IPv4 addresses
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4 carries IPv4 addresses
		"3fff::/20",     // documentation
	)
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// public tells whether a is an address on the internet at large.
func public(a netip.Addr) bool {
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	list := special4
	if a.Is6() {
		if !global6.Contains(a) {
			return false
		}
		list = special6
	}
	for _, p := range list {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
