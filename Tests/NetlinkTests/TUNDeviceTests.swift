import Glibc
import Packets
import Testing

@testable import Netlink

@Suite(.timeLimit(.minutes(15))) struct TUNDeviceTests {
    /// 10.5.0.2 pings 10.5.0.1: IPv4 header, ICMP echo request.
    private static let echoRequest: [UInt8] = [
        0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0x66, 0xD4, 10, 5, 0, 2, 10, 5, 0, 1,
        8, 0, 0xF7, 0xFC, 0, 1, 0, 2,
    ]

    @Test func packetsInAndOut() async throws {
        let (reply, mtu, isUp) = try await TestNamespace.run { _ -> ([UInt8], UInt32?, Bool?) in
            let session = try NetlinkSession()
            let device = try TUNDevice(name: "slow%d", mtu: 1380, session: session)
            try session.add(
                InterfaceAddress(
                    interfaceIndex: device.interfaceIndex, address: try address("10.5.0.1"), prefixLength: 24))
            let taken = try Self.echoRequest.withUnsafeBytes { try device.write($0) }
            guard taken else { throw CheckFailure(description: "not taken") }
            var buffer = [UInt8](repeating: 0, count: 2048)
            var reply: [UInt8] = []
            for _ in 0..<20 where reply.isEmpty {
                var ready = pollfd(fd: device.fileDescriptor, events: Int16(POLLIN), revents: 0)
                guard poll(&ready, 1, 2000) == 1 else { break }
                let count = try buffer.withUnsafeMutableBytes { try device.read(into: $0) }
                // IPv6 may have something to say on a new interface; wait for IPv4.
                if let count, buffer[0] == 0x45 { reply = Array(buffer[..<count]) }
            }
            let link = try session.networkState().link(named: device.name)
            return (reply, link?.mtu, link?.isUp)
        }
        #expect(reply.count == 28)
        #expect(reply.dropFirst(12).prefix(8) == [10, 5, 0, 1, 10, 5, 0, 2])
        #expect(reply.dropFirst(20).first == 0)  // echo reply
        #expect(mtu == 1380 && isUp == true)
    }

    @Test func nothingToReadIsNoError() async throws {
        let read = try await TestNamespace.run { _ -> Int? in
            let device = try TUNDevice(name: "slow0", mtu: 1500, session: NetlinkSession())
            var buffer = [UInt8](repeating: 0, count: 2048)
            for _ in 0..<50 {
                guard let count = try buffer.withUnsafeMutableBytes({ try device.read(into: $0) }) else { return nil }
                if count == 0 { return 0 }
            }
            return 1
        }
        #expect(read == nil)
    }

    @Test func takenNameIsRefused() async throws {
        let error = try await TestNamespace.run { _ -> NetlinkError? in
            do throws(NetlinkError) {
                _ = try TUNDevice(name: "port", mtu: 1500, session: NetlinkSession())
                return nil
            } catch {
                return error
            }
        }
        #expect(error?.description.contains("create the interface port") == true)
        #expect(error?.description.contains("another interface") == true)
    }
}
