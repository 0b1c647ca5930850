import CLibBPF
import Packets
import Platform

/// Divides what comes to one family's IKE ports between two sockets, in the kernel: datagrams of peers that are known go to
/// the first, those of strangers to the second. However many strangers send, they fill only their own queue.
///
/// A small BPF program looks the source address up in a map. It needs CAP_BPF; whoever has none does without.
final class PeerSteering {
    private let family: AddressFamily
    private let map: Descriptor
    private let program: Descriptor
    /// The addresses that the map has now.
    private var known: Set<IPAddress> = []

    /// Addresses that the map takes; peers beyond that are served as strangers.
    private static let capacity: UInt32 = 131_072

    /// Nil when the kernel does not let us.
    init?(_ family: AddressFamily) {
        let keyLength = family == .ipv4 ? 4 : 16
        var options = bpf_map_create_opts()
        options.sz = MemoryLayout<bpf_map_create_opts>.size
        options.map_flags = UInt32(BPF_F_NO_PREALLOC)
        let made = bpf_map_create(
            BPF_MAP_TYPE_HASH, "sluice_peers", UInt32(keyLength), 1, Self.capacity, &options)
        guard let map = try? Descriptor(result: made) else { return nil }
        let code = Self.code(family, keyLength: Int32(keyLength), map: map.number)
        let loaded = code.withUnsafeBytes { code in
            bpf_prog_load(
                BPF_PROG_TYPE_SOCKET_FILTER, "sluice_peers", "Apache-2.0",
                code.baseAddress?.assumingMemoryBound(to: bpf_insn.self), code.count / MemoryLayout<UInt64>.size, nil)
        }
        guard let program = try? Descriptor(result: loaded) else { return nil }
        self.family = family
        self.map = map
        self.program = program
    }

    /// Lets the program choose from now on among the sockets that share a port with this one.
    func attach(to socket: borrowing Socket) throws(Errno) { try socket.set(.portProgram, to: program.number) }

    /// Makes exactly these addresses, as far as they are of the family, the known ones.
    func setKnown(_ addresses: Set<IPAddress>) {
        let wanted = addresses.filter { $0.family == family }
        for address in known.subtracting(wanted) { withKey(address) { _ = bpf_map_delete_elem(map.number, $0) } }
        var value: UInt8 = 1
        for address in wanted.subtracting(known) {
            withKey(address) { _ = bpf_map_update_elem(map.number, $0, &value, UInt64(BPF_ANY)) }
        }
        known = wanted
    }

    private func withKey(_ address: IPAddress, _ body: (UnsafeRawPointer) -> Void) {
        withUnsafeTemporaryAllocation(byteCount: 16, alignment: 8) { key in
            guard let start = key.baseAddress else { return }
            address.store(to: start)
            body(start)
        }
    }

    // MARK: - The program

    /// The number of the socket: 0 for whom the map has, 1 for all others.
    ///
    ///     r0 = skb_load_bytes_relative(skb, source address, fp-16, length, from the network header)
    ///     if r0 != 0 goto stranger
    ///     r0 = map_lookup_elem(map, fp-16)
    ///     if r0 == 0 goto stranger
    ///     return 0
    ///     stranger: return 1
    private static func code(_ family: AddressFamily, keyLength: Int32, map: Int32) -> [UInt64] {
        let sourceOffset: Int32 = family == .ipv4 ? 12 : 8
        let fromNetworkHeader: Int32 = 1
        let (loadBytesRelative, mapLookup): (Int32, Int32) = (68, 1)
        return [
            instruction(move, destination: 2, immediate: sourceOffset),
            instruction(copy, destination: 3, source: 10),
            instruction(add, destination: 3, immediate: -16),
            instruction(move, destination: 4, immediate: keyLength),
            instruction(move, destination: 5, immediate: fromNetworkHeader),
            instruction(call, immediate: loadBytesRelative),
            instruction(jumpIfNot, offset: 8, immediate: 0),
            instruction(loadMap, destination: 1, source: 1, immediate: map), 0,
            instruction(copy, destination: 2, source: 10),
            instruction(add, destination: 2, immediate: -16),
            instruction(call, immediate: mapLookup),
            instruction(jumpIf, offset: 2, immediate: 0),
            instruction(move, immediate: 0),
            instruction(exit),
            instruction(move, immediate: 1),
            instruction(exit),
        ]
    }

    private static let move: UInt8 = 0xb7
    private static let copy: UInt8 = 0xbf
    private static let add: UInt8 = 0x07
    private static let call: UInt8 = 0x85
    private static let jumpIf: UInt8 = 0x15
    private static let jumpIfNot: UInt8 = 0x55
    private static let loadMap: UInt8 = 0x18
    private static let exit: UInt8 = 0x95

    /// `bpf_insn` as it lies in memory of a little-endian machine.
    private static func instruction(
        _ code: UInt8, destination: UInt8 = 0, source: UInt8 = 0, offset: Int16 = 0, immediate: Int32 = 0
    ) -> UInt64 {
        UInt64(code) | UInt64(source << 4 | destination) << 8 | UInt64(UInt16(bitPattern: offset)) << 16
            | UInt64(UInt32(bitPattern: immediate)) << 32
    }
}
