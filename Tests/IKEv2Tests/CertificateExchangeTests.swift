import Cryptography
import IKEv2Messages
import Testing

@testable import IKEv2

/// IKE_AUTH with signatures and chains, whole and in fragments (RFC 7296 section 2.15, RFC 7383, RFC 7427).
@Suite struct CertificateExchangeTests {
    /// Both ends prove themselves by what `CertificateData` has for these names.
    private func bench(west: String, east: String) throws -> TwoSessions {
        let bench = TwoSessions()
        for (host, owner) in [(bench.west, west), (bench.east, east)] {
            host.environment.credentials = try context(owner, hashes: nil).credentials
            host.environment.wallClock = AuthenticationTests.now
        }
        bench.connection.local = LocalAuthentication(method: .publicKey(schemes: []))
        bench.connection.remote = RemoteAuthentication(method: .publicKey(schemes: []))
        bench.east.connections[0].local = bench.connection.local
        bench.east.connections[0].remote = bench.connection.remote
        return bench
    }

    /// The moon's certificate is from an intermediate authority, which it sends along.
    @Test(arguments: [("moon", "rsa"), ("rsa", "ed25519"), ("ed25519", "moon")])
    func certificatesAreAskedForAndSent(west: String, east: String) throws {
        let bench = try bench(west: west, east: east)
        bench.initiate()
        bench.run()
        #expect(bench.trace[1].contains("CERTREQ"))
        func certificates(_ owner: String) -> String { owner == "moon" ? "CERT CERT" : "CERT" }
        #expect(
            bench.trace[2].contains("SK { IDi \(certificates(west)) N(INITIAL_CONTACT) CERTREQ AUTH SA TSi TSr }"))
        #expect(bench.trace[3].contains("SK { IDr \(certificates(east)) AUTH SA TSi TSr }"))
        bench.expectJoined()
        let westName = "C=CH, O=Sluice Tests, CN=\(west)"
        #expect(bench.east.session?.identities?.remote.description == westName)
        #expect(bench.west.session?.identities?.local.description == westName)
    }

    /// No datagram is larger than its packet may be, headers included; here 28 bytes of IPv4 and UDP.
    @Test(arguments: [1000, 576])
    func longChainsAreSentInFragments(packetSize: Int) throws {
        let bench = try bench(west: "rsa", east: "rsa")
        for host in [bench.west, bench.east] { host.environment.settings.fragmentSizeInBytes = packetSize }
        bench.initiate()
        bench.run()
        bench.expectJoined()
        #expect(bench.datagrams.dropFirst(2).allSatisfy { $0.count <= packetSize - 28 })
        #expect(bench.datagrams.count > 4)
        // Received lines tell in how many fragments a message came.
        let lines = bench.east.events.compactMap { event in
            if case .message(let line) = event { line.description } else { nil }
        }
        let line = try #require(lines.last { $0.contains("IKE_AUTH request") })
        let sent = bench.datagrams.dropFirst(2).filter { $0[19] & 0x20 == 0 }
        #expect(line.contains("\(sent.reduce(0) { $0 + $1.count }) bytes in \(sent.count) fragments"))
    }

    @Test(arguments: [Connection.Fragmentation.no, .accept])
    func aPeerIsTakenAtItsWord(fragmentation: Connection.Fragmentation) throws {
        let bench = try bench(west: "rsa", east: "rsa")
        for host in [bench.west, bench.east] { host.environment.settings.fragmentSizeInBytes = 576 }
        bench.east.connections[0].fragmentation = fragmentation
        bench.initiate()
        bench.run()
        bench.expectJoined()
        let types = bench.datagrams.dropFirst(2).map { $0[16] }
        // The east sends none in either case; the west only what the east takes.
        #expect(types.contains(53) == (fragmentation == .accept))
        #expect(types.last == 46)
    }

    /// `fragmentation = no` announces nothing and sends none; what comes is taken. `force` is the same as `yes`: to a peer
    /// that announces nothing no fragments are sent.
    @Test func fragmentsAreTakenWhateverWasAnnounced() throws {
        let bench = try bench(west: "rsa", east: "rsa")
        bench.west.environment.settings.fragmentSizeInBytes = 200
        bench.connection.fragmentation = .force
        bench.east.connections[0].fragmentation = .no
        bench.initiate()
        bench.run()
        bench.expectJoined()
        #expect(!bench.datagrams.contains { $0[16] == 53 })
        // A peer that sends them all the same.
        bench.west.session?.peer.fragmentation = true
        bench.rekeyIKE(bench.west)
        bench.run()
        bench.expectJoined()
        #expect(bench.datagrams.contains { $0[16] == 53 })
        #expect(bench.west.ikeRekeys == 1)
    }

    @Test(arguments: ["expired", "revoked"])
    func aCertificateThatIsNotValidIsRefused(owner: String) throws {
        let bench = try bench(west: owner, east: "moon")
        bench.east.environment.credentials.revocationLists = [try TestCertificates.list(CertificateData.revokedList)]
        bench.initiate()
        bench.run()
        #expect(bench.trace.last == "<-- IKE_AUTH response 1 [SK { N(AUTHENTICATION_FAILED) }]")
        #expect(bench.east.failures.first?.description.contains(owner) == true)
        #expect(bench.west.sessions.isEmpty)
    }
}
