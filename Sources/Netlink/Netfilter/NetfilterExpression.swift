import CLinux
import Packets
import Platform

/// One step of a rule of nftables: all steps of a rule are taken in order, until one does not match.
///
/// Each case is what nft(8) prints for one match or statement, and becomes one or more of the kernel's expressions over
/// register 1 (linux/netfilter/nf_tables.h).
package enum NetfilterExpression: Hashable, Sendable {
    /// The address family of the packet, in a table of both.
    case family(AddressFamily)
    /// Name of the interface that the packet came by; with `isPrefix` all whose names begin so.
    case input(interface: String, isPrefix: Bool = false)
    /// Name of the interface that the packet leaves by.
    case output(interface: String, isPrefix: Bool = false)
    /// The next layer protocol, behind IPv6 extension headers.
    case upperProtocol(UInt8)
    case source(first: IPAddress, last: IPAddress)
    case destination(first: IPAddress, last: IPAddress)
    /// Two bytes of the next layer header in network order: ports, or ICMP's type and code. A later fragment never matches.
    case upperWord(offset: UInt32, ClosedRange<UInt16>)
    /// The packet is a fragment other than the first.
    case laterFragment(AddressFamily)
    /// Looks the source address up in a map; what is found decides.
    case sourceMap(String, AddressFamily)
    case destinationMap(String, AddressFamily)
    case count(String)
    case drop
    case accept
    /// Ends the chain.
    case `return`
    case jump(String)
    case goto(String)

    /// `NF_DROP` and `NF_ACCEPT` of linux/netfilter.h.
    static let dropVerdict: Int32 = 0
    static let acceptVerdict: Int32 = 1

    func write(to writer: inout MessageWriter) {
        switch self {
        case .family(let family):
            writer.meta(NFT_META_NFPROTO)
            writer.compare(NFT_CMP_EQ, [family.kernel])
        case .input(let name, let isPrefix): writer.interface(NFT_META_IIFNAME, name, isPrefix: isPrefix)
        case .output(let name, let isPrefix): writer.interface(NFT_META_OIFNAME, name, isPrefix: isPrefix)
        case .upperProtocol(let number):
            writer.meta(NFT_META_L4PROTO)
            writer.compare(NFT_CMP_EQ, [number])
        case .source(let first, let last): writer.address(first, last, isSource: true)
        case .destination(let first, let last): writer.address(first, last, isSource: false)
        case .upperWord(let offset, let range):
            writer.load(NFT_PAYLOAD_TRANSPORT_HEADER, offset: offset, length: 2)
            writer.compare(NFT_CMP_GTE, range.lowerBound.networkBytes)
            writer.compare(NFT_CMP_LTE, range.upperBound.networkBytes)
        case .laterFragment(let family): writer.laterFragment(family)
        case .sourceMap(let name, let family): writer.addressLookup(name, family, isSource: true)
        case .destinationMap(let name, let family): writer.addressLookup(name, family, isSource: false)
        case .count(let name):
            writer.expression("objref") {
                $0.networkOrder(Int(NFTA_OBJREF_IMM_TYPE.rawValue), UInt32(NFT_OBJECT_COUNTER))
                $0.attribute(Int(NFTA_OBJREF_IMM_NAME.rawValue), name)
            }
        case .drop: writer.decide(Self.dropVerdict)
        case .accept: writer.decide(Self.acceptVerdict)
        case .return: writer.decide(NFT_RETURN.rawValue)
        case .jump(let chain): writer.decide(NFT_JUMP.rawValue, chain)
        case .goto(let chain): writer.decide(NFT_GOTO.rawValue, chain)
        }
    }
}

extension MessageWriter {
    fileprivate mutating func expression(_ name: String, _ body: (inout MessageWriter) -> Void) {
        nested(Int(NFTA_LIST_ELEM.rawValue)) { writer in
            writer.attribute(Int(NFTA_EXPR_NAME.rawValue), name)
            writer.nested(Int(NFTA_EXPR_DATA.rawValue), body)
        }
    }

    private static var register: UInt32 { NFT_REG_1.rawValue }

    fileprivate mutating func meta(_ key: nft_meta_keys) {
        expression("meta") {
            $0.networkOrder(Int(NFTA_META_DREG.rawValue), Self.register)
            $0.networkOrder(Int(NFTA_META_KEY.rawValue), key.rawValue)
        }
    }

    fileprivate mutating func compare(_ operation: nft_cmp_ops, _ value: [UInt8]) {
        expression("cmp") {
            $0.networkOrder(Int(NFTA_CMP_SREG.rawValue), Self.register)
            $0.networkOrder(Int(NFTA_CMP_OP.rawValue), operation.rawValue)
            $0.data(Int(NFTA_CMP_DATA.rawValue), value)
        }
    }

    /// A whole name is compared with the zeros behind it, a prefix without them.
    fileprivate mutating func interface(_ key: nft_meta_keys, _ name: String, isPrefix: Bool) {
        let longest = InterfaceFlags.nameLength
        let text = Array(name.utf8.prefix(longest - 1))
        meta(key)
        compare(NFT_CMP_EQ, isPrefix ? text : text + Array(repeating: 0, count: longest - text.count))
    }

    fileprivate mutating func load(_ base: nft_payload_bases, offset: UInt32, length: UInt32) {
        expression("payload") {
            $0.networkOrder(Int(NFTA_PAYLOAD_DREG.rawValue), Self.register)
            $0.networkOrder(Int(NFTA_PAYLOAD_BASE.rawValue), base.rawValue)
            $0.networkOrder(Int(NFTA_PAYLOAD_OFFSET.rawValue), offset)
            $0.networkOrder(Int(NFTA_PAYLOAD_LEN.rawValue), length)
        }
    }

    private mutating func loadAddress(_ family: AddressFamily, isSource: Bool) {
        let offset: UInt32 =
            switch family {
            case .ipv4: isSource ? 12 : 16
            case .ipv6: isSource ? 8 : 24
            }
        load(NFT_PAYLOAD_NETWORK_HEADER, offset: offset, length: UInt32(family.byteCount))
    }

    fileprivate mutating func address(_ first: IPAddress, _ last: IPAddress, isSource: Bool) {
        loadAddress(first.family, isSource: isSource)
        if first == last {
            compare(NFT_CMP_EQ, first.networkBytes)
        } else {
            compare(NFT_CMP_GTE, first.networkBytes)
            compare(NFT_CMP_LTE, last.networkBytes)
        }
    }

    fileprivate mutating func addressLookup(_ map: String, _ family: AddressFamily, isSource: Bool) {
        loadAddress(family, isSource: isSource)
        expression("lookup") {
            $0.attribute(Int(NFTA_LOOKUP_SET.rawValue), map)
            $0.networkOrder(Int(NFTA_LOOKUP_SREG.rawValue), Self.register)
            $0.networkOrder(Int(NFTA_LOOKUP_DREG.rawValue), NFT_REG_VERDICT.rawValue)
        }
    }

    /// The offset is in the lower 13 bits of IPv4's field, in the upper 13 of IPv6's fragment header.
    fileprivate mutating func laterFragment(_ family: AddressFamily) {
        let mask: UInt16
        switch family {
        case .ipv4:
            mask = 0x1fff
            load(NFT_PAYLOAD_NETWORK_HEADER, offset: 6, length: 2)
        case .ipv6:
            mask = 0xfff8
            expression("exthdr") {
                $0.networkOrder(Int(NFTA_EXTHDR_DREG.rawValue), Self.register)
                $0.attribute(Int(NFTA_EXTHDR_TYPE.rawValue), IPProtocol.fragment)
                $0.networkOrder(Int(NFTA_EXTHDR_OFFSET.rawValue), UInt32(2))
                $0.networkOrder(Int(NFTA_EXTHDR_LEN.rawValue), UInt32(2))
            }
        }
        expression("bitwise") {
            $0.networkOrder(Int(NFTA_BITWISE_SREG.rawValue), Self.register)
            $0.networkOrder(Int(NFTA_BITWISE_DREG.rawValue), Self.register)
            $0.networkOrder(Int(NFTA_BITWISE_LEN.rawValue), UInt32(2))
            $0.data(Int(NFTA_BITWISE_MASK.rawValue), mask.networkBytes)
            $0.data(Int(NFTA_BITWISE_XOR.rawValue), [0, 0])
        }
        compare(NFT_CMP_NEQ, [0, 0])
    }

    fileprivate mutating func decide(_ code: Int32, _ chain: String? = nil) {
        expression("immediate") {
            $0.networkOrder(Int(NFTA_IMMEDIATE_DREG.rawValue), NFT_REG_VERDICT.rawValue)
            $0.verdict(Int(NFTA_IMMEDIATE_DATA.rawValue), code: code, chain: chain)
        }
    }
}

extension UInt16 {
    fileprivate var networkBytes: [UInt8] { withUnsafeBytes(of: bigEndian, Array.init) }
}
