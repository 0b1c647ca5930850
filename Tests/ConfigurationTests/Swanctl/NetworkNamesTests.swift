import Testing

@testable import Configuration

/// Names of protocols and ports, from files that hosts may have.
@Suite struct NetworkNamesTests {
    private static let text = """
        # Internet protocols
        ip\t0\tIP\t\t# internet protocol, pseudo protocol number
        isis 124 ISIS # IS-IS over IPv4
        rsync\t\t873/tcp
        # telex 600
        svc 700/udp\tthe-service  # an old name
        broken
        """

    @Test(
        arguments: [
            ("isis", "124"), ("ISIS", "124"), ("rsync", "873"), ("the-service", "700"), ("telex", nil), ("broken", nil),
            ("name", nil), ("124", nil), ("", nil),
        ] as [(String, String?)])
    func lines(name: String, number: String?) {
        #expect(NetworkNames.number(of: name, in: Self.text).map(String.init) == number)
    }

    @Test func withoutAFile() {
        #expect(NetworkNames.protocolNumber("VRRP") == 112 && NetworkNames.port("rsync") == 873)
        #expect(NetworkNames.protocolNumber("no-such-protocol") == nil && NetworkNames.port("no-such-service") == nil)
    }
}
