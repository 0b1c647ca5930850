import Packets
import Testing

@testable import Netlink

/// Whatever arrives, decoding ends and never traps.
@Suite struct HostileInputTests {
    /// One message of each kind, as encoded by ourselves.
    private static func samples() throws -> [[UInt8]] {
        let gateway = IPAddress("10.0.0.1")
        let route = Route(
            destination: try #require(IPPrefix("10.0.0.0/8")), mtu: 1400,
            hops: [.init(interfaceIndex: 3, gateway: gateway), .init(interfaceIndex: 4, gateway: IPAddress("fe80::1"))])
        let address = InterfaceAddress(
            interfaceIndex: 3, address: try #require(IPAddress("2001:db8::1")), prefixLength: 64)
        let key = Neighbour.Key(interfaceIndex: 3, address: try #require(gateway))
        return [
            Request.replace(route, sequence: 1).bytes,
            Request.change(address, isRemoval: false, sequence: 1).bytes,
            Request.probe(key, sequence: 1).bytes,
            message(type: 16, flags: 0, sequence: 0) {
                [0, 0, 1, 0]; [5, 0, 0, 0]; [0x43, 0, 1, 0]; [0, 0, 0, 0]
                [8, 0, 3, 0]; Array("wan\0".utf8)
                [24, 0, 18, 0]
                [9, 0, 1, 0]; Array("vlan\0".utf8); [0, 0, 0]
                [8, 0, 2, 0]; [6, 0, 1, 0]
            },
            message(type: 2, flags: 0x200, sequence: 0) {
                [0xEA, 0xFF, 0xFF, 0xFF]; [32, 0, 0, 0]; [24, 0, 5, 0]; [3, 0, 0, 0]; [0, 0, 0, 0]
                [UInt8](repeating: 1, count: 16); [8, 0, 1, 0]; Array("no!\0".utf8)
            },
        ]
    }

    @Test func truncatedAtEveryByte() throws {
        for sample in try Self.samples() {
            for length in 0..<sample.count {
                let received = decode(Array(sample[..<length]))
                // A cut datagram always says so: the length in the header is larger than what is there.
                #expect(received.map(\.message) == (length == 0 ? [] : [.malformed]))
            }
            for length in 16..<sample.count {
                var shortened = sample
                shortened[0] = UInt8(length)
                #expect(decode(Array(shortened[..<length])).count == 1)
            }
        }
    }

    @Test func everyByteSetToExtremes() throws {
        for sample in try Self.samples() {
            for index in sample.indices {
                for value: UInt8 in [0, 1, 3, 0x7F, 0x80, 0xFF] {
                    var changed = sample
                    changed[index] = value
                    #expect(decode(changed).count <= sample.count / 4)
                }
            }
        }
    }

    @Test func lengthsThatLie() {
        let zeroLength = [UInt8](repeating: 0, count: 64)
        #expect(decode(zeroLength).map(\.message) == [.malformed])
        let huge = littleEndian(UInt32.max) + [UInt8](repeating: 0, count: 60)
        #expect(decode(huge).map(\.message) == [.malformed])
        // An attribute of length 0 must not be read for ever.
        let stuck = message(type: 24, flags: 0, sequence: 0) {
            [2, 0, 0, 0]; [254, 4, 0, 1]; [0, 0, 0, 0]
            [12, 0, 9, 0]; [0, 0, 0, 0]; [0, 0, 0, 0]; [0, 0, 0, 0]
        }
        #expect(decode(stuck).count == 1)
    }

    @Test func randomBytes() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes = (0..<Int.random(in: 0...200, using: &generator)).map { _ in UInt8.random(in: 0...255) }
            if bytes.count >= 16 {
                // A header that leads into the decoders.
                bytes.replaceSubrange(0..<4, with: littleEndian(UInt32(bytes.count)))
                bytes.replaceSubrange(4..<6, with: littleEndian(UInt16.random(in: 0...32)))
            }
            var state = NetworkState()
            for received in decode(bytes) { _ = state.apply(received.message) }
            #expect(state.forwardingRoutes().count <= 1)
        }
    }

    /// The answer to the question how many SAs the kernel has, cut and damaged.
    @Test func associationCount() {
        let answer = message(type: 0x22, flags: 0, sequence: 1) {
            [0xFF, 0xFF, 0xFF, 0xFF]; [8, 0, 1, 0]; [7, 0, 0, 0]; [12, 0, 2, 0]; [UInt8](repeating: 0, count: 8)
        }
        func count(_ bytes: [UInt8]) -> Int? { bytes.withUnsafeBytes { KernelSecurityAssociations.count(in: $0) } }
        #expect(count(answer) == 7)
        for length in 0..<answer.count { #expect(count(Array(answer[..<length])) == nil) }
        // Whatever else changes, nothing but the number (bytes 24 to 27) is taken for the number.
        for index in answer.indices where !(24..<28).contains(index) {
            for value: UInt8 in [0, 1, 3, 0x7F, 0xFF] {
                var changed = answer
                changed[index] = value
                #expect(count(changed) == nil || count(changed) == 7)
            }
        }
        let another = message(type: 0x22, flags: 0, sequence: 2) {
            [0, 0, 0, 0]; [8, 0, 1, 0]; [7, 0, 0, 0]
        }
        #expect(count(another) == nil)
    }
}
