import Cryptography
import NIOCore
import Testing

@testable import ControlPlane

/// Secrets on their way through the control socket.
@Suite struct SecretTests {
    static let key = Array("correct horse battery staple".utf8)

    static func request(_ command: String) throws -> [UInt8] {
        var message: VICIMessage = ["id": "ike-1", "type": "ike"]
        message.append("data", bytes: key)
        return try VICIPacket.commandRequest(command, message).encoded()
    }

    @Test(arguments: ["load-shared", "load-key"]) func neverBecomeOrdinaryBytes(_ command: String) throws {
        let packet = try VICIPacket(decoding: try Self.request(command).dropFirst(4))
        guard case .commandRequest(command, let message) = packet else {
            Issue.record("not the request")
            return
        }
        #expect(message.bytes("data") == nil)
        #expect(message["data"] == nil)
        #expect(message.secret("data") == SecretBytes(copying: Self.key))
        #expect(!"\(packet)".contains("horse"))
        #expect(try packet.encoded() == Self.request(command))
    }

    /// Certificates are no secrets.
    @Test func otherCommandsKeepTheirValues() throws {
        let packet = try VICIPacket(decoding: try Self.request("load-cert").dropFirst(4))
        guard case .commandRequest(_, let message) = packet else { return }
        #expect(message.bytes("data") == Self.key)
    }

    /// The bytes that came in are zero once they are read, also for those who hold the same memory; the rest stays.
    @Test func packetsAreZeroedOnceTheyAreRead() throws {
        let (secret, plain) = (try Self.request("load-shared"), try Self.request("load-cert"))
        var buffer = ByteBuffer(bytes: secret + plain)
        let same = buffer
        _ = try #require(try VICIFrameDecoder.next(&buffer))
        let packet = 4..<secret.count
        #expect(
            same.getBytes(at: packet.lowerBound, length: packet.count) == [UInt8](repeating: 0, count: packet.count))
        #expect(same.getBytes(at: secret.count, length: plain.count) == plain)
        _ = try #require(try VICIFrameDecoder.next(&buffer))
        #expect(same.getBytes(at: secret.count, length: plain.count) == plain)
        #expect(buffer.readableBytes == 0)
    }
}
