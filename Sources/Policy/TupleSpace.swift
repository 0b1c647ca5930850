import IPsec
import Packets

/// Counts the steps of a lookup in tests; in workers it does nothing and costs nothing.
@usableFromInline
protocol LookupSteps {
    /// A hash table was asked.
    mutating func tuple()
    /// An entry of a bucket was compared.
    mutating func entry()
}

@frozen
@usableFromInline
struct NoSteps: LookupSteps {
    /// Gives the struct an address: ThreadSanitizer takes all variables without a size for one and the same.
    @usableFromInline let unused: UInt8 = 0

    @inlinable
    init() {}
    @inlinable
    mutating func tuple() {}
    @inlinable
    mutating func entry() {}
}

/// One key of a policy in a hash table: a link of its bucket's chain, which goes by precedence.
@frozen
@usableFromInline
struct PolicyNode: BitwiseCopyable, Sendable {
    /// `Precedence.word` of the policy.
    @usableFromInline let precedence: UInt64
    /// Index of its record.
    @usableFromInline let record: UInt32
    /// The next node of the chain, or `none`.
    @usableFromInline var next: UInt32

    @inlinable static var none: UInt32 { .max }

    init(precedence: UInt64, record: UInt32, next: UInt32) {
        self.precedence = precedence
        self.record = record
        self.next = next
    }
}

/// All policies of a space whose keys have the same mask: classes of source and destination prefix lengths, and whether protocol
/// and ports are single values. One cache line.
@frozen
@usableFromInline
struct PolicyTuple: @unchecked Sendable {
    @usableFromInline let sourceMaskHigh, sourceMaskLow: UInt64
    @usableFromInline let destinationMaskHigh, destinationMaskLow: UInt64
    /// Mask of `TupleSpace.upper`.
    @usableFromInline let upperMask: UInt64
    /// The first node of each bucket, or `PolicyNode.none`.
    @usableFromInline var heads: UnsafePointer<UInt32>
    /// No policy here has a lower precedence word.
    @usableFromInline var best: UInt64
    @usableFromInline var bucketMask: UInt32

    @inlinable
    @inline(__always)
    func hash(source: IPAddress, destination: IPAddress, upper: UInt64, seed: UInt64) -> UInt64 {
        Mixing.mix(
            source.low & sourceMaskLow, destination.low & destinationMaskLow, upper & upperMask,
            source.high & sourceMaskHigh, destination.high & destinationMaskHigh, seed: seed)
    }
}

/// Finds the first policy of one direction and family that matches a packet, by tuple space search.
///
/// 1. Policies are grouped by the mask of their key (a tuple); each group is a hash table over the masked key.
/// 2. A lookup asks the groups in the order of their best policy, and stops when no later group can have a better one.
/// 3. A bucket lists its policies by precedence; the first that really matches wins. Keys only choose candidates: the
///    selector itself is compared, so port ranges and wide address ranges need no key of their own.
///
/// So the cost grows with the number of different masks, not with the number of policies; and of masks there are few,
/// whatever networks peers narrow to (`PolicyMask.length`).
@frozen
@usableFromInline
struct TupleSpace: BitwiseCopyable, @unchecked Sendable {
    @usableFromInline let tuples: UnsafePointer<PolicyTuple>
    @usableFromInline let nodes: UnsafePointer<PolicyNode>
    @usableFromInline let count: UInt32
    /// Keys without ports, for packets that carry none. Whoever is found would match with the right ports.
    @usableFromInline let ignoresPorts: Bool
    /// The seed of the hashes.
    @usableFromInline let seed: UInt64

    init(
        tuples: UnsafePointer<PolicyTuple>, nodes: UnsafePointer<PolicyNode>, count: UInt32, ignoresPorts: Bool,
        seed: UInt64
    ) {
        self.seed = seed
        self.tuples = tuples
        self.nodes = nodes
        self.count = count
        self.ignoresPorts = ignoresPorts
    }

    @inlinable static var out: Int { 0 }
    @inlinable static var `in`: Int { 1 }
    @inlinable static var forward: Int { 2 }

    /// The index of the space of a direction and family in the array of all spaces.
    @inlinable
    @inline(__always)
    static func index(_ direction: Int, _ family: AddressFamily, ignoringPorts: Bool) -> Int {
        direction &<< 2 | (family == .ipv4 ? 0 : 2) | (ignoringPorts ? 1 : 0)
    }

    /// The result of `find` when no policy matches.
    @inlinable
    static var notFound: UInt32 { .max }

    /// Next layer protocol and ports as one word.
    @inlinable
    @inline(__always)
    static func upper(protocol number: UInt8, source: UInt16, destination: UInt16) -> UInt64 {
        UInt64(number) &<< 32 | UInt64(source) &<< 16 | UInt64(destination)
    }

    /// The index of the first record that matches.
    @inlinable
    func find<Steps: LookupSteps>(
        _ flow: PacketSummary, records: UnsafePointer<PolicyRecord>, steps: inout Steps
    ) -> UInt32 {
        let upper = TupleSpace.upper(
            protocol: flow.upperProtocol, source: flow.sourcePort, destination: flow.destinationPort)
        var found = TupleSpace.notFound
        var precedence = UInt64.max
        var index: UInt32 = 0
        while index < count {
            let tuple = tuples + Int(index)
            index &+= 1
            if tuple.pointee.best >= precedence { break }
            steps.tuple()
            let hash = tuple.pointee.hash(
                source: flow.source, destination: flow.destination, upper: upper, seed: seed)
            var position = tuple.pointee.heads[Int(UInt32(truncatingIfNeeded: hash) & tuple.pointee.bucketMask)]
            while position != PolicyNode.none {
                let node = nodes + Int(position)
                if node.pointee.precedence >= precedence { break }
                steps.entry()
                if matches(records + Int(node.pointee.record), flow) {
                    found = node.pointee.record
                    precedence = node.pointee.precedence
                    break
                }
                position = node.pointee.next
            }
        }
        return found
    }

    @inlinable
    @inline(__always)
    func matches(_ record: UnsafePointer<PolicyRecord>, _ flow: PacketSummary) -> Bool {
        ignoresPorts ? record.pointee.selector.matchesApartFromPorts(flow) : record.pointee.selector.matches(flow)
    }
}

extension TrafficSelector {
    /// Whether the packet would match if it had the right ports.
    @inlinable
    func matchesApartFromPorts(_ packet: PacketSummary) -> Bool {
        guard source.contains(packet.source), destination.contains(packet.destination) else { return false }
        if let number = self.protocol { return number == packet.upperProtocol }
        return true
    }
}
