package language

import (
	"slices"
	"strings"
	"sync"
	"unicode"
)

// common are the words that people write most when they write to a shop. A word
// may stand under several languages; it then counts for each of them less.
var common = map[string]string{
	"en": `the and you your for with this that have has had not can could would should will when where what why how who which there here
		please thank order delivery refund help need want is are was were been my me i i'm i've i'd don't can't didn't isn't it's what's where's
		from about does did still get got know it they them he she we our their any some but just wrong broken received change package account
		to of in on at if or so do be by no an am a`,
	"da": `jeg ikke er det den og til på af har hvor hvornår hvordan hvad hvorfor kan min mit mine vil gerne skal jeres hej tak ordre pakke
		levering penge tilbage endnu modtaget bestilt fået men med for som der her din dit du i en et at fra om når så også mig bliver været kunne
		få noget nogen venlig hilsen åbent varen forkert virker sendt hvilken`,
	"nb": `jeg ikke er det den og til på av har hvor når hvordan hva hvorfor kan min mitt mine vil gjerne skal deres hei takk bestilling pakke
		levering penger tilbake ennå mottatt bestilt fått men med for som der her din ditt du i en et å fra om så også meg blir vært kunne
		få noe noen vennlig hilsen åpent varen feil virker sendt hvilken`,
	"sv": `jag inte är det den och till på av har var när hur vad varför kan min mitt mina vill gärna ska er hej tack beställning paket leverans
		pengar tillbaka ännu fått beställt men med för som där här din ditt du i en ett att från om så också mig blir varit kunde få något någon
		vänlig hälsning öppet varan fel skulle fungerar skickat vilken`,
	"de": `ich nicht ist das die der und zu auf von habe hat wo wann wie was warum kann mein meine möchte bitte hallo bestellung paket lieferung
		geld zurück noch erhalten bestellt aber mit für als sie ihr wir es ein eine einen den dem im am bei nach aus wenn so auch mich wird war
		könnte bekommen etwas guten tag rechnung kaputt gekommen ihre mir kein keine sind haben in will an`,
	"nl": `ik niet is het de en een van op heb heeft waar wanneer hoe wat waarom kan mijn wil graag alstublieft hallo dank bestelling pakket
		levering geld terug nog ontvangen besteld maar met voor als u jullie wij we er aan bij naar uit dit dat ook mij wordt was kunt krijgen
		iets goedemorgen goedendag rekening kapot geen zijn hebben dan of in me`,
	"fr": `je ne pas est le la les un une des et à de du en sur ai avez où quand comment quoi pourquoi peux peut mon ma mes voudrais veux bonsoir
		commande colis livraison remboursement argent encore reçu commandé mais avec pour que qui vous nous il elle ce cette ça dans par au aux si
		aussi moi sera était quelque chose plaît svp facture suis votre vos toujours me se on a j'ai c'est n'est n'ai s'il`,
	"es": `yo no es el la los las un una de del y en que tengo ha he dónde donde cuándo cuando cómo como qué por mi mis quiero quisiera buenos
		buenas días pedido paquete envío entrega dinero reembolso todavía aún recibido comprado pero con para usted ustedes está este esta esto lo
		le me se si también sido puedo puede algo favor factura ayuda mucho hasta llegado a`,
	"pt": `eu não é o a os as um uma de do da e em que tenho tem onde quando como por meu minha quero gostaria oi bom dia boa tarde pedido pacote
		entrega envio dinheiro reembolso ainda recebi comprei mas com para você vocês está este esta isso isto se também foi posso pode alguma
		coisa favor fatura ajuda muito até estou chegou no na me`,
	"it": `io non è il la lo gli le un una di del della e in che ho ha dove quando come perché mio mia vorrei voglio buonasera ordine pacco
		consegna spedizione soldi rimborso ancora ricevuto ordinato ma con per lei voi questo questa se anche sono stato posso può qualcosa favore
		fattura aiuto molto prego avete no mi si arrivato a`,
	"pl": `ja nie jest to na w i z do się że mam ma gdzie kiedy jak co dlaczego mogę może mój moja moje chcę chciałbym chciałabym proszę cześć
		dzień dobry zamówienie paczka dostawa pieniądze zwrot jeszcze otrzymałem otrzymałam zamówiłem ale dla czy pan pani ten ta te już też mi są
		był tak a`,
	"vi": `tôi em anh chị không là của và có được cho với muốn mua hàng đơn giao khi nào ở đâu sao bao nhiêu tiền giá hoàn trả đổi cảm ơn xin
		chào ạ nhé vẫn chưa nhận đã này đó rồi thì mình bạn giúp hỏi khong muon duoc nhieu nhe vay roi chua`,
	"id": `saya aku tidak nggak gak bukan adalah yang dan di ke dari untuk dengan ini itu bisa ingin mau apa kapan dimana mana bagaimana gimana
		kenapa berapa pesanan barang kirim pengiriman uang kembali belum sudah udah terima kasih tolong selamat pagi siang sore malam kak ada
		harga beli bayar anda kami kita sampai juga tapi akan lagi sekarang paket`,
	"tr": `ben bir bu ve ne için ile değil var yok mi mı nerede zaman nasıl niçin neden kaç istiyorum lütfen ederim merhaba sipariş siparişim
		kargo iade para henüz gelmedi aldım ama çok gibi kadar sonra misiniz olarak`,
	"fi": `minä en ei on ja se että missä milloin miten mitä miksi voi voinko minun haluan haluaisin hei moi tilaus paketti toimitus rahat
		takaisin vielä saanut tilasin mutta kanssa jos myös olen onko tämä`,
}

// telling are words that tell a language alone.
var telling = map[string]string{
	"thanks": "en", "danke": "de", "merci": "fr", "bonjour": "fr", "gracias": "es", "hola": "es", "grazie": "it", "buongiorno": "it",
	"obrigado": "pt", "obrigada": "pt", "olá": "pt", "bedankt": "nl", "dziękuję": "pl", "makasih": "id", "kiitos": "fi", "teşekkürler": "tr",
}

// letters are those that few languages have.
var letters = map[string]string{
	"da": "æøå", "nb": "æøå", "sv": "åäö", "de": "äöüß", "fi": "äö", "fr": "àèêëîïôùûçœ", "es": "ñ¿¡", "pt": "ãõçê", "it": "èàòì",
	"pl": "łąężźśćń", "tr": "ğşıçöü",
	"vi": "ăđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹàèêôòìùã",
}

// What a word, or a letter, of one language alone weighs; what several have
// weighs for each of them its part.
const (
	wordWeight    = 12.0
	tellingWeight = 20.0
	letterWeight  = 6.0
	// maxLetters bounds how often letters of one language count: a name has some.
	maxLetters = 4
	// enoughWeight and enoughLead are what a language must have, and have more
	// than the next: a word more of its own, or so.
	enoughWeight = 16.0
	enoughLead   = 8.0
)

// evidence tells for which languages a word or letter speaks, in their order.
type evidence struct {
	words   map[string][]string
	letters map[rune][]string
}

var known = sync.OnceValue(func() evidence {
	e := evidence{map[string][]string{}, map[rune][]string{}}
	for language, list := range common {
		for _, word := range strings.Fields(list) {
			if !slices.Contains(e.words[word], language) {
				e.words[word] = append(e.words[word], language)
			}
		}
	}
	for language, list := range letters {
		for _, r := range list {
			e.letters[r] = append(e.letters[r], language)
		}
	}
	return e
})

// wordCounts is the evidence of texts, by language.
type wordCounts struct {
	weight  map[string]float64
	special map[string]int // letters counted
}

func (w *wordCounts) add(text string) {
	if w.weight == nil {
		w.weight, w.special = map[string]float64{}, map[string]int{}
	}
	e := known()
	text = strings.ToLower(strings.ReplaceAll(text, "’", "'"))
	for _, r := range text {
		languages := e.letters[r]
		for _, language := range languages {
			if w.special[language]++; w.special[language] <= maxLetters {
				w.weight[language] += letterWeight / float64(len(languages))
			}
		}
	}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r != '\'' && !unicode.In(r, unicode.L, unicode.M) }) {
		word = strings.Trim(word, "'")
		if w.word(e, word) {
			continue
		}
		for _, part := range strings.Split(word, "'") { // l'ordine
			if part != word {
				w.word(e, part)
			}
		}
	}
}

// word counts a word, and tells whether it is known.
func (w *wordCounts) word(e evidence, word string) bool {
	if language := telling[word]; language != "" {
		w.weight[language] += tellingWeight
		return true
	}
	languages := e.words[word]
	for _, language := range languages {
		w.weight[language] += wordWeight / float64(len(languages))
	}
	return len(languages) > 0
}

// language is the one that most speaks for, if by enough.
func (w *wordCounts) language() string {
	first, second := "", ""
	for language := range common {
		switch {
		case first == "" || w.before(language, first):
			first, second = language, first
		case second == "" || w.before(language, second):
			second = language
		}
	}
	lead := w.weight[first] - w.weight[second]
	switch {
	case w.weight[first] < enoughWeight:
		return ""
	case lead >= enoughLead:
		return first
	case first == "da" && second == "nb" || first == "nb" && second == "da":
		return "da" // what both write alike
	}
	return ""
}

// before orders languages by weight, then by name.
func (w *wordCounts) before(a, b string) bool {
	if w.weight[a] != w.weight[b] {
		return w.weight[a] > w.weight[b]
	}
	return a < b
}
