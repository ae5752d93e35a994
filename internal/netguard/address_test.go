package netguard

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyAddressesOnTheInternetAreConnectedTo(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"8.8.8.8":                        true,
		"1.1.1.1":                        true,
		"172.15.255.255":                 true,
		"172.32.0.0":                     true,
		"100.63.255.255":                 true,
		"100.128.0.0":                    true,
		"192.0.1.1":                      true,
		"223.255.255.255":                true,
		"2606:4700:4700::1111":           true,
		"2a00:1450:4001:81b::200e":       true,
		"0.0.0.0":                        false,
		"0.1.2.3":                        false,
		"10.0.0.1":                       false,
		"10.255.255.255":                 false,
		"100.64.0.1":                     false,
		"100.100.100.200":                false, // Alibaba's metadata
		"127.0.0.1":                      false,
		"127.255.255.254":                false,
		"168.63.129.16":                  false, // Azure's metadata
		"169.254.0.1":                    false,
		"169.254.169.254":                false, // metadata of most clouds
		"169.254.170.2":                  false, // metadata of Amazon's containers
		"172.16.0.1":                     false,
		"172.31.255.255":                 false,
		"192.0.0.192":                    false, // Oracle's metadata
		"192.0.2.1":                      false,
		"192.88.99.1":                    false,
		"192.168.0.1":                    false,
		"198.18.0.1":                     false,
		"198.19.255.255":                 false,
		"198.51.100.1":                   false,
		"203.0.113.1":                    false,
		"224.0.0.1":                      false,
		"239.255.255.255":                false,
		"240.0.0.1":                      false,
		"255.255.255.255":                false,
		"::":                             false,
		"::1":                            false,
		"::ffff:8.8.8.8":                 false,
		"::ffff:127.0.0.1":               false,
		"::ffff:10.0.0.1":                false,
		"::8.8.8.8":                      false,
		"64:ff9b::8.8.8.8":               false,
		"64:ff9b::7f00:1":                false,
		"64:ff9b:1::1":                   false,
		"100::1":                         false,
		"2001::1":                        false, // Teredo
		"2001:db8::1":                    false,
		"2002:7f00:1::1":                 false, // 6to4 of 127.0.0.1
		"3fff::1":                        false,
		"fc00::1":                        false,
		"fd00:ec2::254":                  false, // Amazon's metadata
		"fe80::1":                        false,
		"fe80::1%eth0":                   false,
		"2606:4700:4700::1111%eth0":      false,
		"fec0::1":                        false,
		"ff02::1":                        false,
		"4000::1":                        false,
		"ffff:ffff:ffff:ffff::1":         false,
		"0:0:0:0:0:ffff:169.254.169.254": false,
	} {
		require.Equal(t, want, public(netip.MustParseAddr(address)), address)
	}
	require.False(t, public(netip.Addr{}))
}
