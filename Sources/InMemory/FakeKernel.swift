import XDP

/// Plays the kernel's side of one socket's rings over plain memory, for tests and for `sluice bench`.
///
/// The worker gets the same `SocketRings` and runs the same code as with a real socket. All calls come from one thread
/// (the worker's own is fine). Nothing is copied unless bytes go in or out.
public final class FakeKernel {
    /// The UMEM that the frames lie in.
    public let umem: UMEM
    /// Packets not taken in: no free frame, receive ring full, or larger than a frame.
    public private(set) var refused = 0

    private let receiveRing, transmitRing: SPSCRing<XDPDescriptor>
    private let fillRing, completionRing: SPSCRing<UInt64>
    private var receive: ProducerRing<XDPDescriptor>
    private var transmit: ConsumerRing<XDPDescriptor>
    private var fill: ConsumerRing<UInt64>
    private var completion: ProducerRing<UInt64>

    /// Four rings of `ringSize` elements (a power of two).
    public init(umem: UMEM, ringSize: Int) {
        self.umem = umem
        receiveRing = SPSCRing(capacity: ringSize)
        transmitRing = SPSCRing(capacity: ringSize)
        fillRing = SPSCRing(capacity: ringSize)
        completionRing = SPSCRing(capacity: ringSize)
        receive = receiveRing.producer()
        transmit = transmitRing.consumer()
        fill = fillRing.consumer()
        completion = completionRing.producer()
    }

    /// The worker's side of the rings. Take it once.
    ///
    /// - Parameter fileDescriptor: what the worker calls the kernel with; -1 for calls that do nothing.
    public func makeRings(fileDescriptor: Int32 = -1) -> SocketRings {
        SocketRings(
            receive: receiveRing.consumer(), transmit: transmitRing.producer(), fill: fillRing.producer(),
            completion: completionRing.consumer(), fileDescriptor: fileDescriptor)
    }

    /// Says whether the worker has to call before packets are sent, and before frames of the fill ring are used.
    public func wantsCalls(toSend: Bool, toReceive: Bool) {
        transmitRing.setNeedsWakeup(toSend)
        fillRing.setNeedsWakeup(toReceive)
    }

    // MARK: Packets by bytes

    /// A packet arrives: its bytes are copied into a frame of the fill ring, `UMEM.headroom` bytes in. False (and
    /// counted in ``refused``) when the worker left no free frame, its receive ring is full, or the packet doesn't fit.
    @discardableResult public func deliver(_ packet: UnsafeRawBufferPointer) -> Bool {
        guard packet.count <= umem.frameSize - UMEM.headroom, receive.reserve(upTo: 1).count == 1,
            let address = fill.pop()
        else {
            refused += 1
            return false
        }
        let start = (address & ~UInt64(umem.frameSize - 1)) + UInt64(UMEM.headroom)
        if let source = packet.baseAddress { umem.pointer(at: start).copyMemory(from: source, byteCount: packet.count) }
        return receive.push(XDPDescriptor(address: start, length: UInt32(packet.count)))
    }

    /// A packet arrives, as with the raw bytes.
    @discardableResult public func deliver(_ packet: [UInt8]) -> Bool { packet.withUnsafeBytes { deliver($0) } }

    /// All packets that the worker sent since the last call, in order; their frames are completed.
    public func transmitted() -> [[UInt8]] {
        var packets: [[UInt8]] = []
        while completion.reserve(upTo: 1).count == 1, let descriptor = transmit.pop() {
            let start = UnsafeRawPointer(umem.pointer(at: descriptor.address))
            packets.append([UInt8](UnsafeRawBufferPointer(start: start, count: Int(descriptor.length))))
            _ = completion.push(descriptor.address)
        }
        return packets
    }

    // MARK: Frames by address, for benchmarks

    /// Takes up to `count` free frames out of the fill ring; returns how many.
    public func takeFree(into addresses: UnsafeMutablePointer<UInt64>, upTo count: Int) -> Int {
        fill.pop(into: addresses, upTo: count)
    }

    /// Puts packets that already lie in frames (of ``takeFree(into:upTo:)``) into the receive ring; returns how many fit.
    public func receive(from descriptors: UnsafePointer<XDPDescriptor>, count: Int) -> Int {
        receive.push(from: descriptors, count: count)
    }

    /// Takes up to `count` sent packets; ``complete(_:count:)`` gives their frames back. Returns how many.
    public func takeTransmitted(into descriptors: UnsafeMutablePointer<XDPDescriptor>, upTo count: Int) -> Int {
        transmit.pop(into: descriptors, upTo: count)
    }

    /// All sent packets leave, or up to `limit` of them: their frames are completed. A full completion ring holds them up, as in
    /// the kernel. Returns how many left.
    @discardableResult public func transmit(upTo limit: Int = .max) -> Int {
        var sent = 0
        while sent < limit, completion.reserve(upTo: 1).count == 1, let descriptor = transmit.pop() {
            _ = completion.push(descriptor.address)
            sent += 1
        }
        return sent
    }

    /// Completes sent packets; returns how many fit the completion ring.
    public func complete(_ descriptors: UnsafePointer<XDPDescriptor>, count: Int) -> Int {
        let (index, room) = completion.reserve(upTo: count)
        var offset = 0
        while offset < room {
            completion.write(descriptors[offset].address, at: index &+ UInt32(truncatingIfNeeded: offset))
            offset &+= 1
        }
        if room > 0 { completion.submit(room) }
        return room
    }
}
