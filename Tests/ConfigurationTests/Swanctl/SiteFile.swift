/// A file with one connection by pre-shared key, and what a test changes in it. Its lines are counted in the tests.
struct SiteFile: Sendable {
    /// What was changed.
    private(set) var title: String
    private(set) var text: String

    private init() {
        title = ""
        text = """
            connections {
              site {
                local_addrs = 192.0.2.1
                remote_addrs = 192.0.2.2
                local {
                  auth = psk
                  id = l.example.org
                }
                remote {
                  auth = psk
                  id = r.example.org
                }
                children {
                  net {
                    local_ts = 10.1.0.0/16
                    remote_ts = 10.2.0.0/16
                  }
                }
              }
            }
            secrets {
              ike-1 {
                secret = "0123456789abcdef"
              }
            }

            """
    }

    func replacing(_ old: String, _ new: String) -> SiteFile {
        var file = self
        file.title += (title.isEmpty ? "" : ", ") + new.replacing("\n", with: " ")
        file.text = text.replacing(old, with: new, maxReplacements: 1)
        return file
    }

    private func adding(_ lines: String, behind line: String) -> SiteFile {
        var file = replacing(line, "\(line)\n\(lines)")
        file.title = (title.isEmpty ? "" : title + ", ") + lines.replacing("\n", with: " ")
        return file
    }

    /// Lines 17 and on.
    func child(_ lines: String) -> SiteFile { adding(lines, behind: "remote_ts = 10.2.0.0/16") }

    static func replacing(_ old: String, _ new: String) -> SiteFile { SiteFile().replacing(old, new) }
    static func child(_ lines: String) -> SiteFile { SiteFile().child(lines) }
    /// Lines 5 and on.
    static func connection(_ lines: String) -> SiteFile { SiteFile().adding(lines, behind: "remote_addrs = 192.0.2.2") }
    /// Lines 8 and on.
    static func local(_ lines: String) -> SiteFile { SiteFile().adding(lines, behind: "id = l.example.org") }
    /// Lines 12 and on.
    static func remote(_ lines: String) -> SiteFile { SiteFile().adding(lines, behind: "id = r.example.org") }
    /// Lines 24 and on.
    static func secret(_ lines: String) -> SiteFile { SiteFile().adding(lines, behind: "\"0123456789abcdef\"") }
    /// Lines 25 and on.
    static func secrets(_ lines: String) -> SiteFile { SiteFile().adding(lines, behind: "\"0123456789abcdef\"\n  }") }
    /// Lines 26 and on.
    static func top(_ lines: String) -> SiteFile {
        SiteFile().adding(lines, behind: "\"0123456789abcdef\"\n  }\n}")
    }
}
