import Cryptography
import Packets
import Testing

@testable import IPsec

private func checksum(_ bytes: some Collection<UInt8>, initial: UInt64 = 0) -> UInt16 {
    Array(bytes).withUnsafeBytes { buffer in
        buffer.baseAddress.map { Checksum.internet($0, count: buffer.count, initial: initial) } ?? 0
    }
}

@Suite("Outer headers (RFC 4301 5.1.2, RFC 3948)")
struct OuterHeaderTests {
    @Test func ipv4Header() throws {
        let tunnel = try Tunnel(parameters())
        let outer = try tunnel.protect(ipv4(100, trafficClass: 0xB8, dontFragment: true)).outer
        // 100 bytes and 2 of the trailer need 2 bytes of padding; 20 IP, 8 ESP, 8 IV, 16 ICV.
        #expect(outer.count == 20 + 8 + 8 + 104 + 16)
        let header: [UInt8] = [
            0x45, 0xB8, 0, 156, 0, 0, 0x40, 0, 64, 50, outer[10], outer[11], 192, 0, 2, 1, 198, 51, 100, 2,
        ]
        #expect(Array(outer[..<20]) == header)
        #expect(checksum(outer[..<20]) == 0)
        #expect(Array(outer[20..<28]) == [0xC0, 0xFF, 0xEE, 0x01, 0, 0, 0, 1])
    }

    @Test func ipv6Header() throws {
        let tunnel = try Tunnel(parameters(.ipv6) { $0.outerHopLimit = 7 })
        let outer = try tunnel.protect(ipv6(100, trafficClass: 0xB9)).outer
        let label = OuterHeaderTemplate.flowLabel(spi: 0xC0FF_EE01)
        #expect((1...0xFFFFF).contains(label))
        let length = 8 + 8 + 104 + 16
        let header: [UInt8] = [
            0x6B, 0x90 | UInt8(label >> 16), UInt8(label >> 8 & 0xFF), UInt8(label & 0xFF), 0, UInt8(length), 50, 7,
        ]
        #expect(Array(outer[..<8]) == header)
        #expect(Array(outer[8..<24]) == [0x20, 0x01, 0x0D, 0xB8, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
        #expect(Array(outer[24..<40]) == [0x20, 0x01, 0x0D, 0xB8, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2])
        #expect(outer.count == 40 + length)
    }

    @Test func udpOverIPv4HasNoChecksum() throws {
        let tunnel = try Tunnel(parameters(isEncapsulated: true))
        let outer = try tunnel.protect(ipv4(100)).outer
        #expect(outer[9] == 17)
        #expect(checksum(outer[..<20]) == 0)
        // 4500 to 61000, 8 + 136 bytes.
        #expect(Array(outer[20..<28]) == [0x11, 0x94, 0xEE, 0x48, 0, 144, 0, 0])
        #expect(outer.count == 28 + 136)
    }

    /// The checksum covers the ciphertext, for even and odd pieces alike.
    @Test(arguments: [40, 41, 57, 1200])
    func udpOverIPv6HasChecksum(count: Int) throws {
        let tunnel = try Tunnel(parameters(.ipv6, isEncapsulated: true))
        let outer = try tunnel.protect(ipv4(count)).outer
        #expect(outer[6] == 17)
        let length = outer.count - 40
        #expect(Int(outer[44]) << 8 | Int(outer[45]) == length)
        #expect(outer[46] != 0 || outer[47] != 0)
        let pseudoHeader = Checksum.pseudoHeader(
            source: tunnel.parameters.source, destination: tunnel.parameters.destination, protocol: 17,
            length: UInt32(length))
        #expect(checksum(outer[40...], initial: pseudoHeader) == 0)
    }

    struct DFCase: Sendable {
        let policy: DFPolicy
        let inner: AddressFamily
        let innerDF: Bool
        let outerDF: Bool
    }

    @Test(arguments: [
        DFCase(policy: .copy, inner: .ipv4, innerDF: false, outerDF: false),
        DFCase(policy: .copy, inner: .ipv4, innerDF: true, outerDF: true),
        DFCase(policy: .copy, inner: .ipv6, innerDF: false, outerDF: true),
        DFCase(policy: .set, inner: .ipv4, innerDF: false, outerDF: true),
        DFCase(policy: .set, inner: .ipv4, innerDF: true, outerDF: true),
        DFCase(policy: .set, inner: .ipv6, innerDF: false, outerDF: true),
        DFCase(policy: .clear, inner: .ipv4, innerDF: false, outerDF: false),
        DFCase(policy: .clear, inner: .ipv4, innerDF: true, outerDF: false),
        DFCase(policy: .clear, inner: .ipv6, innerDF: false, outerDF: false),
    ])
    func dontFragment(example: DFCase) throws {
        let tunnel = try Tunnel(parameters { $0.dontFragment = example.policy })
        let inner = example.inner == .ipv4 ? ipv4(60, dontFragment: example.innerDF) : ipv6(60)
        var identifications: Set<UInt16> = []
        for _ in 0..<50 {
            let outer = try tunnel.protect(inner).outer
            #expect(outer[6] == (example.outerDF ? 0x40 : 0) && outer[7] == 0)
            #expect(checksum(outer[..<20]) == 0)
            identifications.insert(UInt16(outer[4]) << 8 | UInt16(outer[5]))
        }
        // RFC 6864: zero where nothing can be fragmented, else unique.
        #expect(example.outerDF ? identifications == [0] : identifications.count == 50)
    }

    @Test(arguments: families)
    func dscpIsCopiedOrZero(family: AddressFamily) throws {
        for (copy, expected) in [(true, 0xB8 as UInt8), (false, 0)] {
            let tunnel = try Tunnel(parameters { $0.copyDSCP = copy })
            let outer = try tunnel.protect(packet(family, 60, trafficClass: 0xB8)).outer
            #expect(outer[1] == expected)
        }
    }

    /// Every combination of the fields that the incremental checksum takes in.
    @Test func checksumIsAlwaysRight() throws {
        let tunnel = try Tunnel(parameters { $0.dontFragment = .copy })
        for trafficClass in 0...255 {
            for dontFragment in [false, true] {
                let inner = ipv4(20 + trafficClass * 5, trafficClass: UInt8(trafficClass), dontFragment: dontFragment)
                #expect(checksum(try tunnel.protect(inner).outer[..<20]) == 0)
            }
        }
    }

    /// The largest inner packet fits exactly, and one more byte does not.
    @Test(arguments: families, ["aes128gcm16", "aes128gcm8", "aes256-sha512", "null-sha256", "chacha20poly1305"])
    func mtu(family: AddressFamily, name: String) throws {
        let transform = try #require(ESPTransform(name))
        for isEncapsulated in [false, true] {
            for pathMTU in 1280...1300 {
                let tunnel = try Tunnel(
                    parameters(family, transform: transform, isEncapsulated: isEncapsulated))
                tunnel.outbound.setPathMTU(pathMTU)
                let mtu = Int(tunnel.outbound.runtime.pointee.mtu)
                #expect(Int(tunnel.outbound.runtime.pointee.pathMTU) == pathMTU)
                #expect(try tunnel.protect(ipv4(mtu)).outer.count <= pathMTU)
                #expect(try tunnel.protect(ipv4(mtu + 1)).outer.count > pathMTU)
            }
        }
    }
}
