"""Facts to be remembered, and talk to forget them over: the material of `bench.recall`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """Something a user says of themselves. Each of `words` is one token after a space, and any could be true."""

    statement: str  # with {word}
    question: str
    opening: str  # of the reply, up to the word
    words: tuple[str, str, str, str]

    def said(self, word: str) -> str:
        return self.statement.format(word=word)


FACTS = (
    Fact("My favourite colour is {word}.", "What is my favourite colour?", "Your favourite colour is",
         ("green", "blue", "red", "yellow")),
    Fact("I have a {word} at home.", "Which animal do I have at home?", "At home you have a",
         ("dog", "cat", "horse", "bird")),
    Fact("I was born in {word}.", "In which month was I born?", "You were born in",
         ("March", "June", "August", "October")),
    Fact("I work as a {word}.", "What do I work as?", "You work as a",
         ("teacher", "doctor", "farmer", "lawyer")),
    Fact("My sister lives in {word}.", "Where does my sister live?", "Your sister lives in",
         ("Paris", "London", "Rome", "Berlin")),
    Fact("My name is {word}.", "What is my name?", "Your name is",
         ("Peter", "Anna", "Robert", "Sarah")),
    Fact("I play the {word}.", "Which instrument do I play?", "You play the",
         ("piano", "guitar", "violin", "drums")),
    Fact("My train leaves on {word}.", "On which day does my train leave?", "Your train leaves on",
         ("Monday", "Tuesday", "Thursday", "Friday")),
    Fact("I always drink {word} in the morning.", "What do I drink in the morning?", "In the morning you drink",
         ("coffee", "tea", "milk", "water")),
    Fact("I am learning {word}.", "Which language am I learning?", "You are learning",
         ("Spanish", "German", "French", "Chinese")),
    Fact("My car is {word} years old.", "How many years old is my car?", "In years, the age of your car is",
         ("three", "five", "seven", "nine")),
    Fact("I grew up near a {word}.", "What did I grow up near?", "You grew up near a",
         ("river", "lake", "forest", "mountain")),
)  # fmt: skip

# Messages that hold nothing of the facts, some with names and numbers, so that a summary has to choose.
TALK = (
    ("Can you explain how rain forms?", "Warm air rises and cools, and the water in it gathers into drops."),
    ("I read that the tower is 300 metres high. Is that a lot?", "It is: few buildings are higher than that."),
    ("How do I boil an egg?", "Put it into boiling water for about eight minutes, then into cold water."),
    ("My neighbour Carl painted his fence last week.", "That must have been a lot of work in this weather."),
    ("What is a good way to fall asleep?", "Go to bed at the same time each day and put the screens away."),
    ("Tell me something about bees.", "Bees dance to show the others of their hive where flowers are."),
    ("The meeting with Mr. Novak took 45 minutes.", "It is good that it is over. Was it useful?"),
    ("Why is bread soft?", "Yeast makes gas, and the dough holds the bubbles while it bakes."),
    ("I should clean the kitchen today.", "Start with the table; the rest goes quicker when there is room."),
    ("What does a glacier do to a valley?", "It grinds the sides and leaves a valley that is shaped like a U."),
    ("Someone left an umbrella in the hall.", "You could hang up a note so that its owner finds it."),
    ("Is it true that the library closes at 19:00?", "Many do, but it is best to look at the sign on the door."),
    ("I walked for two hours on the weekend.", "That is a good length for a walk. How was the path?"),
    ("How many legs does a spider have?", "A spider has eight legs, unlike insects, which have six."),
    ("The film last night was too long for me.", "Long films are tiring when one is not in the mood for them."),
    ("What can I cook with rice and beans?", "A stew, a salad, or fill peppers with both and bake them."),
    ("Please give me a word that rhymes with light.", "Night, bright and sight all rhyme with light."),
    ("The bus was late again, by 20 minutes.", "That is annoying. Perhaps there is an earlier one."),
    ("What is the use of a diary?", "It helps to see how days went, and what one would do otherwise."),
    ("I found an old map in a drawer.", "Old maps show how roads and names have changed."),
    ("Why do leaves fall?", "The tree takes back what it needs and lets the leaf go before winter."),
    ("Mrs. Lind said that the garden needs water.", "Early in the day is the best time to give it some."),
    ("What is a fair price for a used chair?", "About a third of the new price, if it is in good order."),
    ("Do fish sleep?", "They rest: they move little, and some hide between stones."),
    ("I lost a glove somewhere in town.", "Perhaps it lies where you took it off last."),
    ("How far is the moon?", "About 384,000 kilometres, a little more or less on its way round."),
    ("The window in the office does not close.", "A little oil on the hinge may help; if not, ask the caretaker."),
    ("What makes a good question?", "It is short, it has one answer, and it is asked of somebody who knows."),
    ("It will be 12 degrees tomorrow.", "Then a light coat is enough."),
    ("Thank you, that was kind of you.", "You are welcome. Ask me whatever you like."),
    ("How is paper made?", "Wood is cooked to fibres, which are spread, pressed and dried."),
)
