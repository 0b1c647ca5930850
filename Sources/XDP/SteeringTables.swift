import CLibBPF
public import Packets
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// What the steering programs of all ports look packets up in: the gateway's own addresses and the protected prefixes.
/// Changes take effect on the next packet, on all ports.
public final class SteeringTables: Sendable {
    /// What happens to packets from the LAN towards a prefix; the longest matching prefix decides.
    public enum Action: UInt8, Sendable {
        /// To the host: an exception within a protected prefix.
        case pass = 0
        /// To the gateway.
        case protect = 1
    }

    let local, prefix4, prefix6: BPFMap
    private let current = Mutex((addresses: Set<IPAddress>(), prefixes: [IPPrefix: Action]()))

    /// Creates the empty tables in the kernel.
    public init() throws(XDPError) {
        sluice_bpf_quiet()
        local = try BPFMap(
            creating: "sluice_local", type: BPF_MAP_TYPE_HASH, keySize: MemoryLayout<sluice_address>.size,
            valueSize: 1, capacity: SLUICE_MAX_LOCAL)
        prefix4 = try BPFMap(
            creating: "sluice_prefix4", type: BPF_MAP_TYPE_LPM_TRIE, keySize: MemoryLayout<sluice_prefix4>.size,
            valueSize: 1, capacity: SLUICE_MAX_PREFIXES)
        prefix6 = try BPFMap(
            creating: "sluice_prefix6", type: BPF_MAP_TYPE_LPM_TRIE, keySize: MemoryLayout<sluice_prefix6>.size,
            valueSize: 1, capacity: SLUICE_MAX_PREFIXES)
    }

    /// Makes these the gateway's own addresses. New ones are added before old ones go.
    public func setLocalAddresses(_ addresses: Set<IPAddress>) throws(XDPError) {
        try current.withLock { (current) throws(XDPError) in
            for address in addresses where !current.addresses.contains(address) {
                try local.set(Self.key(address), to: UInt8(1))
                current.addresses.insert(address)
            }
            for address in current.addresses where !addresses.contains(address) {
                try local.remove(Self.key(address))
                current.addresses.remove(address)
            }
        }
    }

    /// Makes these the steered prefixes. New ones are added before old ones go.
    public func setPrefixes(_ prefixes: [IPPrefix: Action]) throws(XDPError) {
        try current.withLock { (current) throws(XDPError) in
            for (prefix, action) in prefixes where current.prefixes[prefix] != action {
                try set(prefix, to: action)
                current.prefixes[prefix] = action
            }
            for prefix in current.prefixes.keys where prefixes[prefix] == nil {
                try set(prefix, to: nil)
                current.prefixes[prefix] = nil
            }
        }
    }

    /// The same, told what changes: protects the new prefixes, then lets go of the others.
    public func protect(_ new: [IPPrefix], releasing gone: [IPPrefix]) throws(XDPError) {
        try current.withLock { (current) throws(XDPError) in
            for prefix in new where current.prefixes[prefix] != .protect {
                try set(prefix, to: .protect)
                current.prefixes[prefix] = .protect
            }
            for prefix in gone where current.prefixes[prefix] != nil {
                try set(prefix, to: nil)
                current.prefixes[prefix] = nil
            }
        }
    }

    private func set(_ prefix: IPPrefix, to action: Action?) throws(XDPError) {
        switch prefix.address.family {
        case .ipv4:
            var key = sluice_prefix4()
            key.length = UInt32(prefix.length)
            withUnsafeMutableBytes(of: &key.bytes) { Self.store(prefix.address, to: $0) }
            if let action { try prefix4.set(key, to: action.rawValue) } else { try prefix4.remove(key) }
        case .ipv6:
            var key = sluice_prefix6()
            key.length = UInt32(prefix.length)
            withUnsafeMutableBytes(of: &key.bytes) { Self.store(prefix.address, to: $0) }
            if let action { try prefix6.set(key, to: action.rawValue) } else { try prefix6.remove(key) }
        }
    }

    /// IPv4 addresses are written IPv4-mapped.
    private static func key(_ address: IPAddress) -> sluice_address {
        var key = sluice_address()
        withUnsafeMutableBytes(of: &key.bytes) { bytes in
            switch address.family {
            case .ipv4:
                bytes[10] = 0xff
                bytes[11] = 0xff
                store(address, to: UnsafeMutableRawBufferPointer(rebasing: bytes[12...]))
            case .ipv6: store(address, to: bytes)
            }
        }
        return key
    }

    private static func store(_ address: IPAddress, to bytes: UnsafeMutableRawBufferPointer) {
        if let base = bytes.baseAddress { address.store(to: base) }
    }
}
