/// IANA protocol numbers: the IPv4 protocol field, and the IPv6 and ESP next header fields.
public enum IPProtocol {
    public static let hopByHop: UInt8 = 0
    public static let icmp: UInt8 = 1
    public static let ipv4: UInt8 = 4
    public static let tcp: UInt8 = 6
    public static let udp: UInt8 = 17
    public static let dccp: UInt8 = 33
    public static let ipv6: UInt8 = 41
    public static let routing: UInt8 = 43
    public static let fragment: UInt8 = 44
    public static let gre: UInt8 = 47
    public static let esp: UInt8 = 50
    public static let ah: UInt8 = 51
    public static let icmpv6: UInt8 = 58
    /// IPv6 "no next header" (RFC 8200 section 4.7), and the mark of an ESP dummy packet (RFC 4303 section 2.6).
    public static let none: UInt8 = 59
    public static let destinationOptions: UInt8 = 60
    public static let sctp: UInt8 = 132
    public static let mobility: UInt8 = 135
    public static let udpLite: UInt8 = 136
}

/// Values of the Ethernet type field, in host order. Computed, so that the packet path has them as constants.
public enum EtherType {
    @inlinable public static var ipv4: UInt16 { 0x0800 }
    /// The tag of an 802.1Q VLAN.
    @inlinable public static var vlan: UInt16 { 0x8100 }
    /// The tag of an 802.1ad service VLAN.
    @inlinable public static var serviceVLAN: UInt16 { 0x88A8 }
    @inlinable public static var ipv6: UInt16 { 0x86DD }
}

/// UDP ports of IPsec, in host order.
public enum IPsecPort {
    /// Key exchange (RFC 7296 section 2).
    @inlinable public static var keyExchange: UInt16 { 500 }
    /// ESP in UDP, and key exchange behind a non-ESP marker (RFC 3948 section 2).
    @inlinable public static var encapsulation: UInt16 { 4500 }
}
