"""Pictures in a terminal: which protocol it speaks, and thumbnails (WebP) as text or escape sequences.

Everything here is pure: environment and sizes come in as arguments, strings go out; nothing asks the terminal.

    protocol   which way of showing pictures: forced, or told by the environment
    blocks     two pixels a character, on any terminal; shades of ASCII where colours are not wanted
    graphics   real pixels, by the protocols of Kitty, iTerm2 and Sixel
"""
