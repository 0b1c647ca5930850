import IKEv2

/// Reads `start_action`, `close_action` and `dpd_action`, which have one set of words with several names for the same:
/// `start` or `restart`, `trap` or `route`, `none` or `clear`, and several of them with `|` between.
struct ActionText {
    private(set) var traps = false
    private(set) var starts = false

    /// nil when a word is unknown.
    init?(_ text: String) {
        for word in text.lowercased().split(separator: "|", omittingEmptySubsequences: false) {
            switch SectionReader.trimmed(String(word)) {
            case "start", "restart": starts = true
            case "trap", "route": traps = true
            case "none", "clear": break
            default: return nil
            }
        }
    }

    var action: Child.Action {
        if traps { return starts ? .trapAndStart : .trap }
        return starts ? .start : .none
    }

    var deadPeerAction: Child.DeadPeerAction {
        if traps { return starts ? .trapAndRestart : .trap }
        return starts ? .restart : .clear
    }

    /// The value of a key; nil when it is not set, or wrong.
    static func read(_ key: String, _ reader: SectionReader) -> ActionText? {
        guard let value = reader.value(key), let text = reader.text(key) else { return nil }
        if let action = ActionText(text) { return action }
        let known = key == "dpd_action" ? ["clear", "trap", "restart"] : ["none", "trap", "start", "trap|start"]
        let near = Spelling.nearest(to: text, among: known).map { "; did you mean '\($0)'?" } ?? ""
        reader.fail(value, text, "invalid value of '\(key)'", "use \(SectionReader.alternatives(known))\(near)")
        return nil
    }
}
