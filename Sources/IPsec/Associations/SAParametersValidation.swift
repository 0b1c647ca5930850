extension SAParameters {
    /// Throws what keeps an SA from being made of these parameters, apart from the key.
    func validate() throws(SAError) {
        guard mode == .tunnel else { throw .unsupportedMode(mode) }
        guard spi > 255 || (isManual && spi > 0) else { throw .reservedSPI(spi) }
        guard source.family == destination.family else { throw .mixedAddressFamilies }
        guard replayWindow == 0 || (32...65_536).contains(replayWindow) else { throw .replayWindow(replayWindow) }
        guard initialSequence <= maximumSequence else { throw .initialSequence(initialSequence) }
        guard initialReplaySequence <= maximumSequence else { throw .initialSequence(initialReplaySequence) }
        guard (0...Int(UInt16.max)).contains(owner) else { throw .owner(owner) }
    }

    /// The largest inner packet in bytes whose outer packet has at most `pathMTU` bytes; 0 when there is none.
    ///
    /// Padding fills the payload up to the transform's alignment, two bytes of which are the trailer.
    public func innerMTU(pathMTU: Int) -> Int {
        let headers = OuterHeaderTemplate.headerLength(
            family: source.family, isEncapsulated: encapsulation != nil)
        let room = pathMTU - headers - 8 - transform.ivLength - transform.icvLength
        return max(0, room / transform.alignment * transform.alignment - 2)
    }
}
