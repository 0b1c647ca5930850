import Cryptography
import IPsec
import Packets
import Policy

/// One packet on its way through the stages: where it lies, and what the stages so far have found out. 56 bytes.
///
/// A slot owns its frame: whoever ends a packet's way gives the frame to the pool, to a ring or to another slot.
struct PacketSlot: BitwiseCopyable {
    /// The Ethernet header in the UMEM; the frame is the one around this address.
    var start: UnsafeMutableRawPointer
    /// The IP header that the next stage works on: inner outbound; outer, then inner, inbound.
    var packet: UnsafeMutableRawPointer
    /// The ESP header (inbound).
    var esp: UnsafeMutableRawPointer
    /// `OutboundRuntime` or `InboundRuntime`, once looked up.
    var association: UnsafeMutableRawPointer?
    /// The next hop by which the packet leaves, once looked up.
    var nextHop: UnsafePointer<NextHop>?
    /// Bytes that may be read from `start` at first; from `packet` once parsed (the IP packet's own length).
    var length: UInt32
    /// Bytes of ESP from `esp` (inbound).
    var espLength: UInt32
    /// The snapshot's number of the port of arrival; `PacketSlot.noPort` for packets of the host or of the gateway itself.
    var port: UInt16
    /// DS field and ECN of the header at `packet`.
    var trafficClass: UInt8
    /// 4 or 41 (outbound): what ESP's next header field will say.
    var nextHeader: UInt8
    var flags: Flags
    /// The protocol of the header at `esp` (inbound).
    var securityProtocol = SAProtocol.esp

    static let noPort = UInt16.max

    struct Flags: OptionSet, BitwiseCopyable {
        var rawValue: UInt16
        /// IPv4 DF, or IPv6.
        static let dontFragment = Flags(rawValue: 1)
        /// Made on this host: nobody routed it here, so its hop limit stays.
        static let local = Flags(rawValue: 2)
        /// An ICMP error of ours: never the cause of another one.
        static let generated = Flags(rawValue: 4)
        /// The hop limit is decremented already.
        static let forwarded = Flags(rawValue: 8)
        /// Came in UDP (inbound).
        static let encapsulated = Flags(rawValue: 16)
        /// Came out of a tunnel: its sender is to be told of errors through the tunnel.
        static let decrypted = Flags(rawValue: 32)
        /// An ESP packet of ours: nobody can be told of errors any more.
        static let sealed = Flags(rawValue: 64)
        /// The packet is of the same flow as the one before it in the batch.
        static let repeatsFlow = Flags(rawValue: 128)
        /// Will be larger than its path once it is sealed, and has to go all the same: in fragments.
        static let outgrowsPath = Flags(rawValue: 256)
        /// Too big for its tunnel: to be split before it is sealed.
        static let exceedsTunnel = Flags(rawValue: 512)
        /// A fragment that was made here, before it is sealed.
        static let piece = Flags(rawValue: 1024)

        // Sets of several. From raw values: an array literal is an allocation where the compiler does not see through it.

        /// The flags that say where the packet came from. Another worker cannot find them out; the rest it parses
        /// again. They fit a byte.
        static var ofTheJourney: Flags { Flags(rawValue: 2 | 4 | 8 | 32) }
        /// Decrypted and forwarded: what is left of a packet that goes from one tunnel to the policies of another.
        static var ofDivertedPackets: Flags { Flags(rawValue: 8 | 32) }
        /// Generated and decrypted: an ICMP error that quotes what came protected.
        static var quotesDecrypted: Flags { Flags(rawValue: 4 | 32) }
        /// Local or forwarded: the hop limit is not to be decremented (again).
        static var notToBeRouted: Flags { Flags(rawValue: 2 | 8) }
        /// Local, decrypted or sealed: no station sent the frame, or none is to be told of its fate.
        static var withoutLinkHeader: Flags { Flags(rawValue: 2 | 32 | 64) }
        /// Exceeds its tunnel, or will outgrow its path: those that are not sealed side by side with others.
        static var ofRunEnds: Flags { Flags(rawValue: 256 | 512) }
        /// A piece of a packet whose hop limit is decremented.
        static var forwardedPiece: Flags { Flags(rawValue: 8 | 1024) }
        /// Generated and local.
        static var ownMessage: Flags { Flags(rawValue: 2 | 4) }
    }

    /// A packet as it arrived: `length` bytes from its Ethernet header on.
    @inline(__always)
    init(start: UnsafeMutableRawPointer, length: UInt32, port: UInt16, flags: Flags = []) {
        self.start = start
        packet = start
        esp = start
        association = nil
        nextHop = nil
        self.length = length
        espLength = 0
        self.port = port
        trafficClass = 0
        nextHeader = 0
        self.flags = flags
    }

    /// The destination of a packet whose IP header was checked.
    @inline(__always)
    static func destination(of packet: UnsafeRawPointer) -> IPAddress {
        AddressFamily(ofPacketAt: packet) == .ipv4
            ? IPAddress(loading: packet + 16, family: .ipv4) : IPAddress(loading: packet + 24, family: .ipv6)
    }

    /// The source of a packet whose IP header was checked.
    static func source(of packet: UnsafeRawPointer) -> IPAddress {
        AddressFamily(ofPacketAt: packet) == .ipv4
            ? IPAddress(loading: packet + 12, family: .ipv4) : IPAddress(loading: packet + 8, family: .ipv6)
    }
}

/// Room for the packets of one batch, allocated once per worker.
struct SlotBatch: ~Copyable {
    let slots: UnsafeMutablePointer<PacketSlot>
    let capacity: Int
    var count = 0

    init(capacity: Int) {
        // A few more than fit, so that a stage may look ahead without a comparison.
        slots = .allocate(capacity: capacity + SlotBatch.lookAhead)
        slots.initialize(
            repeating: PacketSlot(start: UnsafeMutableRawPointer(slots), length: 0, port: PacketSlot.noPort),
            count: capacity + SlotBatch.lookAhead)
        self.capacity = capacity
    }

    deinit { slots.deallocate() }

    /// The number of packets by which a stage prefetches ahead. Frames lie at multiples of their size, so the headers
    /// of a batch share a few sets of the first-level cache: what is fetched much earlier is gone again.
    static var lookAhead: Int { 3 }

    var isFull: Bool { count >= capacity }

    /// Moves packets from the front into another batch, which is then full or has all; returns how many.
    mutating func takeFirst(into other: borrowing SlotBatch) -> Int {
        let taken = min(count, other.capacity)
        other.slots.update(from: slots, count: taken)
        count &-= taken
        slots.update(from: slots + taken, count: count)
        return taken
    }

    /// The caller has seen that the batch is not full.
    @inline(__always)
    mutating func append(_ slot: PacketSlot) {
        (slots + count).initialize(to: slot)
        count &+= 1
    }
}
