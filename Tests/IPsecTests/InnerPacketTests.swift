import Cryptography
import IPsec
import Packets
import Telemetry
import Testing

/// Seals any payload, as a peer may that pads or frames in its own way.
private final class Peer {
    let tunnel: Tunnel
    private let cipher: ESPCipher
    private var sequence: UInt32 = 0

    init(_ tunnel: Tunnel) throws {
        self.tunnel = tunnel
        cipher = try Tunnel.engine.makeCipher(
            tunnel.parameters.transform, keyMaterial: tunnel.parameters.key, direction: .seal,
            extendedSequenceNumbers: false)
    }

    /// The payload, padding, pad length and next header are given as they are; the receiver's verdict and packet.
    func send(_ content: [UInt8], padding: [UInt8], padLength: Int? = nil, nextHeader: UInt8) -> (Verdict, [UInt8]) {
        let transform = tunnel.parameters.transform
        let payload = content + padding + [UInt8(padLength ?? padding.count), nextHeader]
        precondition(payload.count % transform.alignment == 0, "the test's payload is not aligned")
        sequence += 1
        let front = 8 + transform.ivLength
        let header = tunnel.frame.load(
            [UInt8](repeating: 0, count: front) + payload + [UInt8](repeating: 0, count: transform.icvLength))
        header.storeBytes(of: tunnel.parameters.spi.networkOrder, as: UInt32.self)
        header.storeBytes(of: sequence.bigEndian, toByteOffset: 4, as: UInt32.self)
        var operation = ESPOperation(
            context: cipher.context, header: header, iv: UInt64(sequence), payloadLength: UInt32(payload.count))
        ESPBatch.run(&operation, count: 1)
        precondition(operation.status == .ok, "the test's packet was not sealed")
        let (verdict, inner) = tunnel.unprotect(header: header, length: front + payload.count + transform.icvLength)
        return (verdict, inner)
    }

    /// The same with the padding of RFC 4303.
    func send(_ content: [UInt8], nextHeader: UInt8) -> (Verdict, [UInt8]) {
        let alignment = tunnel.parameters.transform.alignment
        let length = (2 * alignment - (content.count + 2) % alignment) % alignment
        return send(content, padding: (0..<length).map { UInt8($0 + 1) }, nextHeader: nextHeader)
    }
}

@Suite("What is inside of ESP (RFC 4303 3.4.4, 2.4 to 2.7)")
struct InnerPacketTests {
    static let transforms = ["aes128gcm16", "aes128gcm8", "aes128-sha256", "null-sha256"]

    private func peer(_ name: String = "aes128gcm16", change: (inout SAParameters) -> Void = { _ in }) throws -> Peer {
        let transform = try #require(ESPTransform(name))
        return try Peer(Tunnel(parameters(transform: transform, change: change)))
    }

    /// Every amount of padding that fits, up to 255 bytes.
    @Test(arguments: transforms)
    func longPadding(name: String) throws {
        let peer = try peer(name)
        let alignment = peer.tunnel.parameters.transform.alignment
        for length in 0...255 where (46 + length) % alignment == 0 {
            let (verdict, inner) = peer.send(
                ipv4(44), padding: (0..<length).map { UInt8($0 + 1) }, nextHeader: IPProtocol.ipv4)
            #expect(verdict == .pass, "\(length) bytes of padding")
            #expect(inner == ipv4(44))
        }
    }

    /// A wrong byte anywhere in the padding, long or short.
    @Test(arguments: transforms)
    func badPadding(name: String) throws {
        let peer = try peer(name)
        let alignment = peer.tunnel.parameters.transform.alignment
        var sent: UInt64 = 0
        for length in 1...40 where (46 + length) % alignment == 0 {
            for wrong in 0..<length {
                var padding = (0..<length).map { UInt8($0 + 1) }
                padding[wrong] ^= 0x40
                #expect(peer.send(ipv4(44), padding: padding, nextHeader: IPProtocol.ipv4).0 == .drop(.badPadding))
                sent += 1
            }
        }
        #expect(sent > 0 && peer.tunnel.inboundDrops(.badPadding) == sent)
        #expect(peer.send(ipv4(44), nextHeader: IPProtocol.ipv4).0 == .pass)
    }

    /// The pad length is larger than the payload.
    @Test(arguments: transforms)
    func badTrailer(name: String) throws {
        let peer = try peer(name)
        let alignment = peer.tunnel.parameters.transform.alignment
        let content = [UInt8](repeating: 0, count: alignment - 2)
        #expect(peer.send(content, padding: [], padLength: alignment - 1, nextHeader: 4).0 == .drop(.badTrailer))
        #expect(peer.send(content, padding: [], padLength: 255, nextHeader: 4).0 == .drop(.badTrailer))
        #expect(peer.tunnel.inboundDrops(.badTrailer) == 2)
    }

    /// Traffic flow confidentiality: bytes behind the inner packet are ignored (RFC 4303 section 2.7).
    @Test(arguments: families, [1, 2, 50, 700])
    func trafficFlowConfidentiality(family: AddressFamily, extra: Int) throws {
        let peer = try peer()
        let number = family == .ipv4 ? IPProtocol.ipv4 : IPProtocol.ipv6
        let junk = [UInt8](repeating: 0x5A, count: extra)
        let (verdict, inner) = peer.send(packet(family, 100) + junk, nextHeader: number)
        #expect(verdict == .pass)
        #expect(inner == packet(family, 100))
        #expect(peer.tunnel.inbound.status(now: 0).bytes == 100)
    }

    /// Dummy packets hide how much traffic there is; they have any content (RFC 4303 section 2.6).
    @Test func dummyPacket() throws {
        let peer = try peer()
        #expect(peer.send([UInt8](repeating: 7, count: 90), nextHeader: 59).0 == .drop(.dummyPacket))
        #expect(peer.send([], nextHeader: 59).0 == .drop(.dummyPacket))
        #expect(peer.tunnel.inboundDrops(.dummyPacket) == 2)
        #expect(peer.tunnel.inbound.status(now: 0).packets == 0)
    }

    @Test(arguments: [0, 1, 6, 17, 50, 58, 60, 255] as [UInt8])
    func otherNextHeader(number: UInt8) throws {
        let peer = try peer()
        #expect(peer.send(ipv4(100), nextHeader: number).0 == .drop(.unsupportedNextHeader))
        #expect(peer.tunnel.inboundDrops(.unsupportedNextHeader) == 1)
    }

    /// The next header and the version of the packet disagree.
    @Test func familyMismatch() throws {
        let peer = try peer()
        #expect(peer.send(ipv4(100), nextHeader: IPProtocol.ipv6).0 == .drop(.innerMalformed))
        #expect(peer.send(ipv6(100), nextHeader: IPProtocol.ipv4).0 == .drop(.innerMalformed))
        #expect(peer.tunnel.inboundDrops(.innerMalformed) == 2)
    }

    @Test func malformedInnerPacket() throws {
        let peer = try peer()
        var badChecksum = ipv4(60)
        badChecksum[10] ^= 1
        var badVersion = ipv4(60)
        badVersion[0] = 0x55
        #expect(peer.send(badChecksum, nextHeader: 4).0 == .drop(.innerMalformed))
        #expect(peer.send(badVersion, nextHeader: 4).0 == .drop(.innerMalformed))
        #expect(peer.send(Array(ipv4(60)[..<10]), nextHeader: 4).0 == .drop(.innerMalformed))
        #expect(peer.send([], nextHeader: 4).0 == .drop(.innerMalformed))
        #expect(peer.send(Array(ipv6(60)[..<30]), nextHeader: 41).0 == .drop(.innerMalformed))
        #expect(peer.tunnel.inboundDrops(.innerMalformed) == 5)
    }

    /// The inner packet says that it is longer than what came.
    @Test func innerLength() throws {
        let peer = try peer()
        #expect(peer.send(Array(ipv4(60)[..<58]), nextHeader: 4).0 == .drop(.innerLength))
        #expect(peer.send(Array(ipv6(60)[..<58]), nextHeader: 41).0 == .drop(.innerLength))
        #expect(peer.tunnel.inboundDrops(.innerLength) == 2)
    }

    @Test func wrongDestinationAndEncapsulation() throws {
        let plain = try Tunnel(parameters())
        let wrapped = try Tunnel(parameters(isEncapsulated: true))
        var elsewhere = try parameters()
        elsewhere.destination = try address("198.51.100.3")
        let other = try Tunnel(elsewhere)
        #expect(try plain.unprotect(wrapped.protect(ipv4(60)).outer).verdict == .drop(.encapsulationMismatch))
        #expect(try wrapped.unprotect(plain.protect(ipv4(60)).outer).verdict == .drop(.encapsulationMismatch))
        #expect(try plain.unprotect(other.protect(ipv4(60)).outer).verdict == .drop(.spiDestinationMismatch))
        let ipv6 = try Tunnel(parameters(.ipv6))
        #expect(try plain.unprotect(ipv6.protect(ipv4(60)).outer).verdict == .drop(.spiDestinationMismatch))
        #expect(plain.inboundDrops(.spiDestinationMismatch) == 2)
        #expect(plain.inboundDrops(.encapsulationMismatch) == 1)
    }
}
